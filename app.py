"""Application assembly: configuration, database, blueprints, error handlers, headers."""

from flask import Flask, request
from flask_wtf import CSRFProtect

import database
import logs
import startup
from config import Config
from web import audit, errors, filters, security_headers, silences
from web.api import (
    alert_views,
    alertmanager,
    alertmanager_silences,
    alerts,
    channel_actions,
    health,
    metrics,
    openapi,
)
from web.api import channels as channels_api
from web.api import deliveries as deliveries_api
from web.api import replays as replays_api
from web.api import silences as silences_api
from web.api.direct_ingest import DirectIngest
from web.auth import access, login, tokens, users
from web.auth.proxy import BehindProxy
from web.channels import bulk, hints, history, live, pausing
from web.channels import health as channel_health
from web.channels import views as channels
from web.dashboard import views as dashboard
from web.deliveries import alert_views as alert_pages
from web.deliveries import export as exports
from web.deliveries import replays
from web.deliveries import views as deliveries
from web.deliveries.alert_facts import severity_of_row, subject_of_row
from web.lab import views as lab
from web.lab.receiving import receive
from web.prefix import BelowPrefix
from web.request_ids import RequestIds
from web.row_ids import RowId
from web.services import Services
from web.transfer import views as transfer
from web.transfer.provisioning import provision, provisioning_problem
from web.worker_status import waiting_notice, worker_status

MAX_BODY_BYTES = 1024 * 1024
_MACHINE_ENDPOINTS = (
    channels_api,
    channel_actions,
    deliveries_api,
    replays_api,
    alert_views,
    silences_api,
    alerts,
    alertmanager,
    alertmanager_silences,
    metrics,
    openapi,
)
_PAGES = (
    dashboard,
    channels,
    pausing,
    history,
    bulk,
    live,
    transfer,
    exports,
    replays,
    deliveries,
    alert_pages,
    silences,
    tokens,
    users,
    login,
    audit,
    lab,
    health,
    errors,
)


def create_app(config: Config | None = None) -> Flask:
    """Return the app, ready to serve; the configuration defaults to the environment's.

    Raises:
        ConfigError: a variable has a value that Tocsin cannot start with.
        StorageError: the database cannot be used.
    """
    config = startup.prepare(config or Config.from_env())
    app = Flask("app")
    app.url_map.converters["int"] = RowId
    app.config.update(
        SECRET_KEY=config.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # access.check_request checks the origin
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    configure(app, config)
    _set_up_templates(app)
    app.context_processor(access.user_context)
    app.before_request(_connect)
    app.before_request(access.check_request)
    csrf = CSRFProtect(app)
    security_headers.register(app, config)
    _register_blueprints(app, csrf)
    numbered = RequestIds(DirectIngest(app, config), logs_access=config.access_log)
    below = BelowPrefix(numbered, config.prefix)
    app.wsgi_app = BehindProxy(below, config.trusted_proxies)  # type: ignore[method-assign]
    provision(app)
    return app


def _set_up_templates(app: Flask) -> None:
    app.jinja_env.globals.update(
        ago=filters.ago,
        request_id=logs.request_id,
        health_banner=channel_health.health_banner,
        hints_for=hints.hints_for,
        provisioning_problem=provisioning_problem,
        severity_of_row=severity_of_row,
        subject_of=subject_of_row,
        until=filters.until,
        waiting_notice=waiting_notice,
        worker_status=worker_status,
    )
    for function in (
        filters.about,
        filters.duration,
        filters.iso,
        filters.moment,
        filters.second,
        filters.waterfall,
    ):
        app.add_template_filter(function)


def configure(app: Flask, config: Config) -> None:
    """Give the app its configuration and the services with it, also in place of others."""
    app.extensions["tocsin"] = Services(config)
    app.jinja_env.globals["config"] = config
    # Cookies ignore the port: two installations on one host need different names.
    app.config["SESSION_COOKIE_NAME"] = f"tocsin_{config.port}"


def _register_blueprints(app: Flask, csrf: CSRFProtect) -> None:
    for module in _MACHINE_ENDPOINTS + _PAGES:
        app.register_blueprint(module.bp)
    for module in _MACHINE_ENDPOINTS:
        csrf.exempt(module.bp)
    csrf.exempt(receive)


def _connect() -> None:
    """Open one connection per thread and keep it.

    Closing the last connection would make SQLite checkpoint its log at every request.
    """
    if request.endpoint not in access.WITHOUT_DATABASE:
        database.connect()
