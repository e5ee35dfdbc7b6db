"""Assembly only: configuration, database, blueprints, failures, headers."""

import logging

from flask import Flask, redirect, url_for
from flask_wtf import CSRFProtect

import storage
from config import Config
from delivery import vault
from delivery.keyring import Keyring
from models import db
from web import (
    advice,
    api,
    channels,
    checks,
    doors,
    errors,
    filters,
    headers,
    health,
    metrics,
    passwords,
    people,
    signin,
    tokens,
)
from web.editor import now_ms
from web.proxy import BehindProxy
from web.services import Services

MOST_BYTES = 1024 * 1024


def create_app(config: Config | None = None) -> Flask:
    """The app, ready to serve: keys, database and first account made where that was not done yet.

    Takes a configuration, the environment's by default. Raises ConfigError and StorageError.
    """
    config = prepare(config or Config.from_env())
    app = Flask("app")
    app.config.update(
        SECRET_KEY=config.secret_key,
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        WTF_CSRF_TIME_LIMIT=None,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.extensions["tocsin"] = Services.of(config)
    app.jinja_env.globals.update(config=config, ago=filters.ago, notes=advice.notes)
    app.context_processor(doors.visitor)
    app.jinja_env.filters.update(moment=filters.moment, duration=filters.duration, waterfall=filters.waterfall)
    app.before_request(_connect)
    doors.register(app)
    csrf = CSRFProtect(app)
    errors.register(app)
    headers.register(app, config)
    for module in (api, channels, checks, health, metrics, people, signin, tokens):
        app.register_blueprint(module.bp)
    for module in (api, metrics):
        csrf.exempt(module.bp)
    app.add_url_rule("/", "home", lambda: redirect(url_for("channels.index")))
    logging.getLogger("tocsin").setLevel(logging.INFO)
    app.wsgi_app = BehindProxy(app.wsgi_app, config.trusted_proxies)  # type: ignore[method-assign]
    return app


def prepare(config: Config) -> Config:
    """What must stand before anything is served, and is made where it does not; the configuration with its keys.

    Raises ConfigError and StorageError, each with one sentence for whoever starts Tocsin.
    """
    config = config.with_keys()
    storage.prepare(config.database)
    with db.connection_context():
        vault.check(Keyring(config.encryption_keys, config.keys_file))
        passwords.first_start(passwords.Passwords(config.data_dir), config.admin_password, now_ms())
    return config


def _connect() -> None:
    """One connection a thread, kept: closing the last one would make SQLite fold its log in at every request."""
    db.connect(reuse_if_open=True)
