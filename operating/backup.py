"""Write a backup: while Tocsin runs, checked after writing, and whole or not at all."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from clock import now_ms
from config import KEYS_FILE, SECRET_KEY_FILE, VERSION, Config, read_keys
from config.database_url import DatabaseServer
from database.copying import check_file, copy_file, open_copy
from locks import file_lock
from models import Fact
from operating.archive import (
    CHUNK_BYTES,
    ArchiveWriter,
    BackupError,
    Manifest,
    Progress,
    add_manifest,
    new_archive,
    verify,
)

DATABASE_MEMBER = "tocsin.db"
TABLE_FOLDER = "tables"
LAST_BACKUP = "last backup"  # the fact about it, in the database
_NAME = "tocsin-%Y%m%dT%H%M%SZ.zip"
_NAMES = re.compile(r"tocsin-[0-9]{8}T[0-9]{6}Z\.zip")
_PARTIAL = ".partial"
_COUNTED = ("channel", "alert", "delivery", "attempt", "user")
_MIN_FREE_BYTES = 16 * 1024 * 1024


class Backup(NamedTuple):
    """A backup that was written, and the older ones that were deleted."""

    path: Path
    manifest: Manifest
    deleted: list[Path]


def write_backup(
    config: Config, target: Path, progress: Progress, *, with_keys: bool, keep: int = 0
) -> Backup:
    """Write a backup to a file or into a folder, and return it.

    In a folder, its name has the time, and only the newest `keep` stay (0: all). The file appears
    under its name when it is on the disk and was read back. A database must be open.

    Raises:
        BackupError: there is no room, or what was written is not what was read.
        StorageError: the database is damaged.
    """
    in_folder = target.is_dir()
    folder = target if in_folder else target.absolute().parent
    path = folder / datetime.now(UTC).strftime(_NAME) if in_folder else target
    if path.exists() and (in_folder or not _is_backup(path)):
        raise BackupError(f"{path} exists and is not replaced. Choose another name.")
    with _only_one(folder):
        partial = folder / f".{path.name}{_PARTIAL}"
        _delete_rest(partial)
        try:
            with new_archive(partial) as writer:
                _add_database(config, writer, partial, progress, with_keys=with_keys)
            manifest = verify(partial, progress)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        _sync(folder)
        deleted = _rotate(folder, keep) if in_folder and keep else []
    _note(path, manifest)
    return Backup(path, manifest, deleted)


def backup_names(folder: Path) -> list[Path]:
    """Return the backups in a folder that have the time in their name, oldest first."""
    return sorted(path for path in folder.iterdir() if _NAMES.fullmatch(path.name))


def _is_backup(path: Path) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return path.is_file() and file.read(2) == b"PK"
    return False


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    try:
        with file_lock(folder, wait=False):
            yield
    except BlockingIOError:
        raise BackupError(f"Another backup is being written into {folder}.") from None


def _delete_rest(partial: Path) -> None:
    """Delete what a backup that was killed has left behind, and nothing of other programs."""
    for path in partial.parent.glob(f".*{_PARTIAL}*"):
        name = path.name.partition(_PARTIAL)[0].removeprefix(".")
        if _NAMES.fullmatch(name) or path.name.startswith(partial.name):
            path.unlink(missing_ok=True)


def _add_database(
    config: Config, writer: ArchiveWriter, partial: Path, progress: Progress, *, with_keys: bool
) -> None:
    if isinstance(config.database, DatabaseServer):
        manifest = _add_tables(config.database, writer, progress)
    else:
        manifest = _add_file(config.database, writer, partial, progress)
    if with_keys:
        writer.add(SECRET_KEY_FILE, f"{config.secret_key}\n")
        writer.add(KEYS_FILE, "\n".join(_keys_of_copy(config)) + "\n")
    add_manifest(writer, manifest)


def _keys_of_copy(config: Config) -> dict[str, None]:
    """Return the keys of before and after the copy, which may be on both sides of a rotation."""
    keys = config.encryption_keys
    if config.keys_file:
        keys = (*read_keys(config.keys_file), *keys)
    return dict.fromkeys(keys)


def _add_file(database: Path, writer: ArchiveWriter, partial: Path, progress: Progress) -> Manifest:
    """Add the file of SQLite, which is copied and checked first."""
    _refuse_full_disk(partial.parent, database.stat().st_size)
    copy = partial.with_name(f"{partial.name}.db")
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL, 0o600))
        _copy(database, copy, progress)
        with progress("Checking the copy", 1):
            counts = check_file(copy)
        _compress(copy, writer, progress)
        return _manifest("sqlite", _steps_of(copy), counts)
    finally:
        for path in partial.parent.glob(f"{copy.name}*"):
            path.unlink(missing_ok=True)


def _copy(database: Path, copy: Path, progress: Progress) -> None:
    done = 0
    with progress("Copying the database", database.stat().st_size // 4096) as advance:

        def note(remaining: int, total: int) -> None:
            nonlocal done
            advance(total - remaining - done)
            done = total - remaining

        copy_file(database, copy, note)


def _compress(copy: Path, writer: ArchiveWriter, progress: Progress) -> None:
    with (
        progress("Compressing it", copy.stat().st_size) as advance,
        open(copy, "rb") as file,
        writer.member(DATABASE_MEMBER) as write,
    ):
        while piece := file.read(CHUNK_BYTES):
            write(piece)
            advance(len(piece))


def _steps_of(copy: Path) -> list[str]:
    with contextlib.closing(open_copy(copy)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM schema_migration")]


def _add_tables(server: DatabaseServer, writer: ArchiveWriter, progress: Progress) -> Manifest:
    """Add the rows of every table of PostgreSQL."""
    from database import server_copy
    from database.postgresql import database_of

    columns = {}
    counts = {}
    with contextlib.closing(server_copy.begin_snapshot(database_of(server))) as connection:
        steps = [name for (name,) in connection.execute("SELECT name FROM schema_migration")]
        sequences = server_copy.sequences_of(connection)
        with progress("Copying the tables", server_copy.size_of(connection)) as advance:
            for table in server_copy.tables():
                columns[table] = server_copy.columns_of(connection, table)
                counts[table] = 0
                with writer.member(f"{TABLE_FOLDER}/{table}") as write:
                    for piece in server_copy.read_table(connection, table, columns[table]):
                        write(piece)
                        counts[table] += piece.count(b"\n")
                        advance(len(piece))
    details = {"columns": columns, "sequences": sequences}
    return _manifest("postgresql", steps, counts, details)


def _manifest(
    database: str, steps: list[str], counts: dict[str, int], details: dict[str, Any] | None = None
) -> Manifest:
    return Manifest(
        version=VERSION,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        database=database,
        steps=sorted(steps),
        counts={name: counts[name] for name in _COUNTED},
        details=details or {},
    )


def _refuse_full_disk(folder: Path, size: int) -> None:
    """Refuse if a copy and its compressed form may not fit."""
    needed = size * 3 // 2 + _MIN_FREE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"{folder} has {free / 1e6:,.0f} MB free, and the backup may need "
            f"{needed / 1e6:,.0f} MB. Free some space, or name another folder."
        )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rotate(folder: Path, keep: int) -> list[Path]:
    old = backup_names(folder)[:-keep]
    for path in old:
        path.unlink()
    return old


def _note(path: Path, manifest: Manifest) -> None:
    about = {"at": now_ms(), "path": str(path.absolute()), "has_keys": manifest.has_keys}
    Fact.store(LAST_BACKUP, json.dumps(about))
