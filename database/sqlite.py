"""SQLite: pragmas, journal mode, the check for damage, migrations, error sentences."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import peewee
from peewee import (  # type: ignore[attr-defined]
    DatabaseError,
    OperationalError,
    SqliteDatabase,
    sqlite3,
)

from database.errors import FileId, StorageError
from database.schema import migrate
from locks import file_lock

CHECK_SECONDS = 1.0
MAX_JOURNAL_BYTES = 16 * 1024 * 1024
MAX_REWRITTEN_BYTES = 128 * 1024 * 1024  # rewriting more would delay a start by seconds
PAGES_AT_ONCE = 100

# SQLite 3.7.0 to 3.51.2 can corrupt a WAL file that several processes write to
# (https://sqlite.org/wal.html, "WAL-reset bug").
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)

FILE_MISSING = "the database file is missing"
FILE_REPLACED = "the database file was replaced"

# Marks in SQLite's messages, and the sentence for each of them.
_SENTENCES = (
    (
        (FILE_MISSING,),
        "The database {path} is missing: the file was deleted or moved, or its folder is not "
        "mounted. Put the file back, or stop Tocsin, delete {name}-wal and {name}-shm, restore "
        "{name} from a backup and start Tocsin again. Until then, alerts are refused and nothing "
        "is sent.",
    ),
    (
        (FILE_REPLACED,),
        "The database {path} was replaced by another file while Tocsin was running. Stop Tocsin, "
        "delete {name}-wal and {name}-shm unless they belong to the new file, and start Tocsin "
        "again. Until then, alerts are refused and nothing is sent.",
    ),
    (
        ("unable to open",),
        "The database {path} cannot be opened: it must be a file that Tocsin may read and write, "
        "in a folder that Tocsin may write.",
    ),
    (
        ("locked", "busy"),
        "The database is busy: another process has held it for more than five seconds. "
        "Try again in a moment.",
    ),
    (
        ("readonly", "read-only", "permission denied"),
        "The database {path} cannot be written: the file or its folder is read-only for Tocsin. "
        "Make it writable.",
    ),
    (("full", "no space"), "The disk that holds {path} is full. Free some space on it."),
    (
        ("malformed", "not a database", "corrupt"),
        "The database {path} is damaged ({error}). Tocsin does not start with it, so that nothing "
        "more is lost. To restore it, move {name}, {name}-wal and {name}-shm away, put your latest "
        "copy of {name} in their place and start again. An empty file there starts without "
        "channels. Keep the key files beside it.",
    ),
)


class FileDatabase(SqliteDatabase):
    """SQLite that stays with one existing file, and never creates another in its place.

    A process that has opened the file would go on writing to it after it was deleted, and nobody
    could read that. Damaged text is decoded too, so that one damaged row does not break a page.
    """

    is_shared = False  # only the processes of one machine use it

    def __init__(self, path: Path, file: FileId | None, **options):
        super().__init__(f"{path.as_uri()}?mode=rw", uri=True, **options)
        self._path = path
        self.file = file

    def lead(self, number: int) -> bool:
        """Return True if the worker of this number is the leader; a lock keeps others from it."""
        return number == 0

    def analyze(self) -> None:
        """Do nothing: the statements name what SQLite would choose wrongly without counting."""

    def check(self) -> None:
        """Check that the path still leads to the file that was opened first.

        Raises:
            OperationalError: the file is missing, or was replaced.
        """
        try:
            status = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise OperationalError(f"{FILE_MISSING}: {self._path}") from None
        file = (status.st_dev, status.st_ino)
        if self.file not in (None, file):
            raise OperationalError(f"{FILE_REPLACED}: {self._path}")
        self.file = file

    def _connect(self):
        self.check()
        return super()._connect()  # type: ignore[misc]

    def _add_conn_hooks(self, conn):
        conn.text_factory = lambda data: data.decode("utf-8", "replace")
        super()._add_conn_hooks(conn)  # type: ignore[misc]

    def execute_many(self, statement: str, parameters: Iterable[Any]) -> None:
        """Run a statement once for each mapping of parameters; peewee has no `executemany`."""
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            self.connection().executemany(statement, parameters)

    @contextlib.contextmanager
    def relaxed_durability(self) -> Iterator[None]:
        """Commit without waiting for the disk.

        With a write-ahead log, `PRAGMA synchronous=NORMAL` never corrupts the file. The wait is
        most of what a commit costs.
        """
        if WAL_IS_SAFE:
            self.execute_sql("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            self.execute_sql("PRAGMA synchronous=FULL")

    @contextlib.contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Fail at once if another process writes."""
        timeout = self._value("busy_timeout")
        self.execute_sql("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            self.execute_sql(f"PRAGMA busy_timeout = {timeout}")

    def _value(self, pragma: str) -> int:
        return self.execute_sql(f"PRAGMA {pragma}").fetchone()[0]

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self._path.stat().st_size

    def can_shrink(self) -> bool:
        """Return True if the file gives free pages back; earlier versions made it without."""
        return self._value("auto_vacuum") == 2

    def rewrite(self) -> None:
        """Rewrite the file without free pages; all other writes fail until that is done."""
        self.execute_sql("VACUUM")

    def shrink(self) -> bool:
        """Give a slice of free pages back; return False if none is free."""
        if not self.can_shrink() or not self._value("freelist_count"):
            return False
        self.execute_sql(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        return True

    def finish_shrinking(self) -> None:
        """Write the log to the file, so that both become as small as they can."""
        self.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def database_of(path: Path, file: FileId | None = None) -> FileDatabase:
    """Return the database at a path, not yet connected. Each thread keeps its own connection.

    The file must exist when the first connection is opened; an empty one is a new database. It
    must be `file`, if an earlier process has opened that.
    """
    pragmas = {
        "auto_vacuum": 2,  # incremental; it must come first, and applies to new files and to VACUUM
        "journal_mode": "wal" if WAL_IS_SAFE else "truncate",
        "synchronous": "full",
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "journal_size_limit": MAX_JOURNAL_BYTES,
    }
    return FileDatabase(path, file, pragmas=pragmas, lock_type="IMMEDIATE")


def prepare(database: FileDatabase, path: Path) -> None:
    """Check the file for damage and apply missing migrations, one process at a time.

    Raises:
        StorageError: the file is damaged or cannot be used.
    """
    try:
        path.touch(0o600)
        with file_lock(path.with_name(f"{path.name}.lock")), database.connection_context():
            _check_for_damage(database)
            migrate(database, path)
            if not database.can_shrink() and path.stat().st_size <= MAX_REWRITTEN_BYTES:
                with contextlib.suppress(OperationalError):  # another process uses it: next time
                    database.rewrite()
            path.chmod(0o600)
    except (DatabaseError, OSError) as error:
        raise StorageError(describe_error(error, path)) from error


def describe_error(error: Exception, path: Path) -> str:
    """Return a sentence for a failure of the database, or for the failure that caused it.

    When a disk is full, SQLite rolls back and peewee's own rollback fails after that.
    """
    messages: list[str] = []
    cause: BaseException | None = error
    while cause and len(messages) < 3:
        messages.append(str(cause).lower())
        cause = cause.__context__
    text = " ".join(messages)
    detail = " ".join(str(error).split())
    for marks, sentence in _SENTENCES:
        if any(mark in text for mark in marks):
            return sentence.format(path=path, name=path.name, error=detail)
    return f"The database {path} cannot be used ({error})."


def journal_notice() -> str:
    """Return a notice if this SQLite cannot share a WAL file safely, otherwise ""."""
    if WAL_IS_SAFE:
        return ""
    return (
        f"SQLite {sqlite3.sqlite_version} has a bug in its write-ahead log; "
        "Tocsin uses the slower TRUNCATE journal."
    )


def _check_for_damage(database: SqliteDatabase) -> None:
    """Run SQLite's check, for a second at most: a large file must not delay the start."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection = database.connection()
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except (sqlite3.OperationalError, OperationalError) as error:
        if "interrupt" not in str(error):
            raise
        result = "ok"
    finally:
        connection.set_progress_handler(None, 0)
    if result != "ok":
        raise DatabaseError(f"malformed: {result}")
