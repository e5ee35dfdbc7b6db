"""The database: SQLite in a file, or PostgreSQL on a server.

The rest of the code calls these functions, and `models.db`, without knowing which one it is.
"""

import contextlib
from pathlib import Path
from typing import Any

import database.sqlite as sqlite
from config.database_url import DatabaseServer
from database.errors import FileId, StorageError
from database.schema import MIGRATIONS
from database.sqlite import PAGES_AT_ONCE, WAL_IS_SAFE, journal_notice
from models import db

Location = Path | DatabaseServer


def open_database(location: Location, file: FileId | None = None) -> Any:
    """Return the database, not yet connected. Each thread keeps its own connection.

    A file must exist when the first connection is opened; an empty one is a new database. It must
    be `file`, if an earlier process has opened that.
    """
    if isinstance(location, DatabaseServer):
        import database.postgresql as postgresql  # its driver takes time that SQLite does not need

        database: Any = postgresql.database_of(location)
    else:
        database = sqlite.database_of(location, file)
    db.initialize(database)
    return database


def prepare(location: Location) -> None:
    """Check the database and apply missing migrations, one process at a time.

    Raises:
        StorageError: the database is damaged or cannot be used.
    """
    database = open_database(location)
    if isinstance(location, DatabaseServer):
        import database.postgresql as postgresql

        postgresql.prepare(database)
    else:
        sqlite.prepare(database, location)


def connect() -> None:
    """Open the connection of this thread, or check the one that is open.

    Raises:
        DatabaseError: the database cannot be reached or opened, or its file is not the one that
            was opened first.
    """
    if not db.connect(reuse_if_open=True):
        db.check()


def relaxed_durability() -> contextlib.AbstractContextManager[None]:
    """Commit without waiting for the disk: a power cut may lose the rows, but no more."""
    return db.relaxed_durability()


def without_waiting() -> contextlib.AbstractContextManager[None]:
    """Fail at once with an OperationalError if another process writes."""
    return db.without_waiting()


def describe_error(error: Exception, location: Location, *, to_stranger: bool = False) -> str:
    """Return a sentence for a failure of the database, or for the failure that caused it.

    A stranger does not learn where the database is.
    """
    if isinstance(location, DatabaseServer):
        import database.postgresql as postgresql

        return postgresql.describe_error(error, location, to_stranger=to_stranger)
    return sqlite.describe_error(error, Path(location.name) if to_stranger else location)
