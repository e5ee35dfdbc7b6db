"""Assembly only: configuration, database, blueprints, failures, headers."""

import logging
from pathlib import Path

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
    deliveries,
    doors,
    errors,
    filters,
    headers,
    health,
    ingest,
    lab,
    metrics,
    passwords,
    people,
    signin,
    silences,
    tokens,
)
from web.editor import now_ms
from web.proxy import BehindProxy
from web.services import Services

MOST_BYTES = 1024 * 1024
_prepared: set[Path] = set()


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
    for module in (api, channels, checks, deliveries, health, ingest, lab, metrics, people, signin, silences, tokens):
        app.register_blueprint(module.bp)
    for module in (api, ingest, metrics):
        csrf.exempt(module.bp)
    csrf.exempt(lab.receive)
    app.add_url_rule("/", "home", lambda: redirect(url_for("channels.index")))
    logging.getLogger("tocsin").setLevel(logging.INFO)
    app.wsgi_app = BehindProxy(app.wsgi_app, config.trusted_proxies)  # type: ignore[method-assign]
    return app


def prepare(config: Config) -> Config:
    """What must stand before anything is served, and is made where it does not; the configuration with its keys.

    Once in a process and those that it forks: a look over the whole database takes up to a second. Raises ConfigError and
    StorageError, each with one sentence for whoever starts Tocsin.
    """
    config = config.with_keys()
    if config.database in _prepared:
        storage.open_database(config.database)
        return config
    storage.prepare(config.database)
    with db.connection_context():
        vault.check(Keyring(config.encryption_keys, config.keys_file))
        passwords.first_start(passwords.Passwords(config.data_dir), config.admin_password, now_ms())
    _prepared.add(config.database)
    return config


def _connect() -> None:
    """One connection a thread, kept: closing the last one would make SQLite fold its log in at every request."""
    db.connect(reuse_if_open=True)
