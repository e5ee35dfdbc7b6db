"""Assembly only: configuration, database, blueprints, failures, headers."""

import logging

from flask import Flask, redirect, url_for
from flask_wtf import CSRFProtect

import storage
from config import Config
from models import db
from web import advice, channels, checks, errors, filters, headers, health
from web.services import Services

MOST_BYTES = 1024 * 1024


def create_app(config: Config | None = None) -> Flask:
    """The app, ready to serve: keys made and database prepared where that was not done yet.

    Takes a configuration, the environment's by default. Raises ConfigError and StorageError.
    """
    config = (config or Config.from_env()).with_keys()
    storage.prepare(config.database)
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
    app.jinja_env.filters.update(moment=filters.moment, duration=filters.duration, waterfall=filters.waterfall)
    app.before_request(_connect)
    CSRFProtect(app)
    errors.register(app)
    headers.register(app, config)
    for module in (channels, checks, health):
        app.register_blueprint(module.bp)
    app.add_url_rule("/", "home", lambda: redirect(url_for("channels.index")))
    logging.getLogger("tocsin").setLevel(logging.INFO)
    return app


def _connect() -> None:
    """One connection a thread, kept: closing the last one would make SQLite fold its log in at every request."""
    db.connect(reuse_if_open=True)
