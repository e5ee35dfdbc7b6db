"""First start: generate the keys, migrate the database, create the first account."""

import logging
import sys

import database
from clock import now_ms
from config import Config, variable_notices
from delivery.secrets import rotation
from delivery.secrets.encryption import Keyring
from logs import LogFormat, log_to_stderr
from models import db
from web.accounts.passwords import PasswordChecker, create_admin

_prepared: dict[database.Location, database.FileId | None] = {}


def open_installation(config: Config) -> Config:
    """Return the configuration with its keys, after checking and migrating the database.

    The first start creates both. A variable without an effect is named on standard error.

    Raises:
        ConfigError: the data folder or the keys cannot be used.
        StorageError: the database cannot be used.
    """
    for notice in variable_notices():
        _notify(config, notice)
    config.create_database()
    config = config.with_keys()
    database.prepare(config.database)
    return config


def _notify(config: Config, notice: str) -> None:
    if config.log_format == LogFormat.JSON:
        log_to_stderr(config.log_format)
        logging.getLogger("tocsin").warning(notice)
    else:
        print(f"tocsin: {notice}", file=sys.stderr, flush=True)


def check_again(config: Config) -> None:
    """Check the keys that new processes of a prepared installation would read.

    Raises:
        ConfigError: the keys cannot be used.
        DatabaseError: the database cannot be used.
    """
    config = config.with_keys(create=False)
    if config.database in _prepared:
        with db.connection_context():
            rotation.check_keys(Keyring(config.encryption_keys, config.keys_file))


def prepare(config: Config) -> Config:
    """Return the configuration with its keys, after preparing everything that serving needs.

    The database is checked and migrated once in a process and its forks, which stay with this
    file: the check of a large file takes up to a second.

    Raises:
        ConfigError: the data folder or the keys cannot be used.
        StorageError: the database cannot be used.
    """
    if config.database in _prepared:
        database.open_database(config.database, _prepared[config.database])
        return config.with_keys(create=False)
    config = open_installation(config)
    with db.connection_context():
        rotation.check_keys(Keyring(config.encryption_keys, config.keys_file))
        create_admin(PasswordChecker(config.data_dir), config.admin_password, now_ms())
    _prepared[config.database] = db.file
    return config
