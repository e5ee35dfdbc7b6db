"""First start: generate the keys, migrate the database, create the first account."""

from pathlib import Path

import database
from clock import now_ms
from config import Config
from delivery.secrets import rotation
from delivery.secrets.encryption import Keyring
from models import db
from web.accounts.passwords import PasswordChecker, create_admin

_prepared: set[Path] = set()


def prepare(config: Config) -> Config:
    """Return the configuration with its keys, after preparing everything that serving needs.

    The database is checked and migrated once in a process and its forks: the check of a large
    file takes up to a second.

    Raises:
        ConfigError: the data folder or the keys cannot be used.
        StorageError: the database cannot be used.
    """
    config = config.with_keys()
    if config.database in _prepared:
        database.open_database(config.database)
        return config
    database.prepare(config.database)
    with db.connection_context():
        rotation.check_keys(Keyring(config.encryption_keys, config.keys_file))
        create_admin(PasswordChecker(config.data_dir), config.admin_password, now_ms())
    _prepared.add(config.database)
    return config
