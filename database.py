"""Opens the database file: pragmas, journal, the check for damage, and the migrations, which run before the server forks."""

import contextlib
import time
from pathlib import Path

from peewee import DatabaseError, OperationalError, SqliteDatabase, sqlite3  # type: ignore[attr-defined]
from playhouse.migrations import Runner

from locks import file_lock
from models import db

MIGRATIONS = Path(__file__).parent / "migrations"
CHECK_SECONDS = 1.0

# SQLite 3.7.0 to 3.51.2 can corrupt a WAL file when several processes write (https://sqlite.org/wal.html, "WAL-reset bug").
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)


class StorageError(Exception):
    """The database cannot be used; the text is a plain sentence for the person who starts Tocsin."""


class TolerantDatabase(SqliteDatabase):
    """SQLite, whose texts are read even where a flipped bit has made them no UTF-8: one row must not take a page with it."""

    def _add_conn_hooks(self, conn):
        conn.text_factory = lambda octets: octets.decode("utf-8", "replace")
        super()._add_conn_hooks(conn)  # type: ignore[misc]


def open_database(path: Path) -> SqliteDatabase:
    """The database at `path`, not yet connected. Every thread keeps one connection of its own."""
    journal = "wal" if WAL_IS_SAFE else "truncate"
    pragmas = {
        "journal_mode": journal,
        "synchronous": "full",
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    database = TolerantDatabase(str(path), pragmas=pragmas, lock_type="IMMEDIATE")
    db.initialize(database)
    return database


@contextlib.contextmanager
def relaxed_durability():
    """For records that a power cut may take: a commit inside waits for no disk (SQLite, "PRAGMA synchronous": with a
    write-ahead log NORMAL risks the latest commits and never the file). The wait is most of what a test would cost.
    """
    if WAL_IS_SAFE:
        db.execute_sql("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        db.execute_sql("PRAGMA synchronous=FULL")


def prepare(path: Path) -> None:
    """Makes the file fit for use: refuses a damaged one, applies what migrations are missing, one process at a time.

    Raises StorageError with a sentence that says what to do.
    """
    database = open_database(path)
    try:
        with file_lock(path.with_name(path.name + ".lock")), database.connection_context():
            _refuse_damage(database)
            Runner(database, str(MIGRATIONS)).up()
            path.chmod(0o600)
    except (DatabaseError, OSError) as error:
        raise StorageError(describe_error(error, path)) from error


def describe_error(error: Exception, path: Path) -> str:
    """A plain sentence for a failure of the database, and of what led to it: SQLite rolls back by itself when a disk is full,
    and peewee's own attempt to do so fails then.
    """
    text = " ".join(
        str(one).lower()
        for one in (error, error.__context__, error.__context__ and error.__context__.__context__)
    )
    if "locked" in text or "busy" in text:
        return "The database is busy: another process has held it for more than five seconds. Try again in a moment."
    if "readonly" in text or "read-only" in text or "permission denied" in text:
        return f"The database {path} cannot be written: the file or its folder is read-only for Tocsin. Make it writable."
    if "full" in text or "no space" in text:
        return f"The disk that holds {path} is full. Make room on it."
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return (
            f"The database {path} is damaged ({' '.join(str(error).split())}). Tocsin does not start on it, so that nothing "
            f"more is lost. To restore: move {path.name}, {path.name}-wal and {path.name}-shm away, put your latest copy of "
            f"{path.name} in their place and start again; or start without it, with no channels. The key files beside it must "
            "stay."
        )
    return f"The database {path} cannot be used ({error})."


def journal_notice() -> str:
    """What to tell at the start when this SQLite is one of those that may not share a WAL file; else empty."""
    if WAL_IS_SAFE:
        return ""
    return f"SQLite {sqlite3.sqlite_version} has a fault in its write-ahead log; Tocsin uses the slower TRUNCATE journal."


def _refuse_damage(database: SqliteDatabase) -> None:
    """SQLite's own check, cut short after a second: a large file must not hold up the start."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection = database.connection()
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except (sqlite3.OperationalError, OperationalError) as error:
        if "interrupt" not in str(error):
            raise
        verdict = "ok"
    finally:
        connection.set_progress_handler(None, 0)
    if verdict != "ok":
        raise DatabaseError(f"malformed: {verdict}")
