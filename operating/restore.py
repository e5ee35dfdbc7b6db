"""Restore a backup: only where Tocsin does not run, and without deleting what is there."""

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from config import KEYS_FILE, SECRET_KEY_FILE, VERSION, Config, ConfigError
from config.database_url import DatabaseServer
from database.copying import check_file, open_copy
from database.schema import known_steps, newer_steps
from delivery.secrets.encryption import DecryptionError, Keyring
from delivery.secrets.rotation import KEY_CHECK
from operating.archive import BackupError, Manifest, Progress, open_archive, pieces_of, verify
from operating.backup import DATABASE_MEMBER, TABLE_FOLDER
from operating.running import not_running

_NEW = ".restored"
_READ_KEY_CHECK = "SELECT value FROM fact WHERE name = ?"


def read_backup(path: Path, config: Config) -> Manifest:
    """Return the manifest of a backup that this version can restore here.

    Raises:
        BackupError: it cannot.
    """
    with open_archive(path) as (_, manifest):
        unknown = newer_steps(manifest.steps)
        if unknown:
            raise BackupError(
                f"{path} was written by Tocsin {manifest.version} (step {unknown[-1]}), which is "
                f"newer than this version {VERSION} (up to {known_steps()[-1]}). Install "
                f"{manifest.version} to restore it."
            )
        kind = "postgresql" if isinstance(config.database, DatabaseServer) else "sqlite"
        if manifest.database != kind:
            raise BackupError(
                f"{path} is a backup of {manifest.database}, but TOCSIN_DATABASE_URL names a "
                f"database of {kind}."
            )
    return manifest


def restore(path: Path, config: Config, progress: Progress, *, force: bool) -> list[Path]:
    """Put a backup in the place of the database, and return what was moved aside for it.

    Raises:
        BackupError: something is in its place and `force` is false, or the backup is damaged.
        StillRunning: Tocsin runs here.
    """
    manifest = read_backup(path, config)
    if not force:
        _refuse_existing(config, manifest)
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with not_running(config), open_archive(path) as (archive, _), contextlib.ExitStack() as stack:
        places = {}
        if isinstance(config.database, DatabaseServer):
            _load_tables(archive, manifest, config.database, progress)
        else:
            new = config.database.with_name(f"{config.database.name}{_NEW}")
            stack.enter_context(_extracted(archive, manifest, new, progress))
            places[new] = config.database
        return _place(places | _extract_keys(archive, manifest, config))


def check(path: Path, config: Config, progress: Progress) -> str:
    """Check all of a backup without changing anything; return what is to be known about its keys.

    Raises:
        BackupError: it cannot be restored here.
    """
    manifest = read_backup(path, config)
    if manifest.database != "sqlite":
        verify(path, progress)
        return ""
    with tempfile.TemporaryDirectory() as folder, open_archive(path) as (archive, _):
        new = Path(folder) / DATABASE_MEMBER
        with _extracted(archive, manifest, new, progress):
            if manifest.has_keys:
                keys = b"".join(pieces_of(archive, manifest, KEYS_FILE)).decode().split()
                return "" if decrypts(tuple(keys), new) else "The keys in it do not decrypt it."
            try:
                keys_here = config.with_keys(create=False).encryption_keys
            except ConfigError:
                return "It has no keys, and there are none here: its channels cannot be decrypted."
            if decrypts(keys_here, new):
                return "It has no keys; those of this installation decrypt it."
            return "It has no keys, and those of this installation do not decrypt it."


def decrypts(keys: tuple[str, ...], path: Path) -> bool:
    """Return True if keys decrypt a database of SQLite."""
    with contextlib.closing(open_copy(path)) as connection:
        row = connection.execute(_READ_KEY_CHECK, (KEY_CHECK,)).fetchone()
    if not row:
        return True
    with contextlib.suppress(DecryptionError):
        Keyring(keys).decrypt(KEY_CHECK, row[0])
        return True
    return False


def _refuse_existing(config: Config, manifest: Manifest) -> None:
    paths = []
    if isinstance(config.database, Path):
        paths.append(config.database)
    if manifest.has_keys:
        paths += [config.data_dir / KEYS_FILE, config.data_dir / SECRET_KEY_FILE]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise BackupError(
            f"{' and '.join(there)} would be replaced. With --force, what is there is moved aside "
            "and not deleted."
        )


@contextlib.contextmanager
def _extracted(
    archive: zipfile.ZipFile, manifest: Manifest, new: Path, progress: Progress
) -> Iterator[None]:
    """Write the database of a backup to a file, and check it; the block may move it away."""
    new.unlink(missing_ok=True)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        total = manifest.files[DATABASE_MEMBER]["bytes"]
        with os.fdopen(descriptor, "wb") as file, progress("Reading the backup", total) as advance:
            for piece in pieces_of(archive, manifest, DATABASE_MEMBER):
                file.write(piece)
                advance(len(piece))
            file.flush()
            os.fsync(file.fileno())
        with progress("Checking the database", 1):
            check_file(new)
        yield
    finally:
        new.unlink(missing_ok=True)


def _extract_keys(archive: zipfile.ZipFile, manifest: Manifest, config: Config) -> dict[Path, Path]:
    """Write the keys of a backup beside their places; return both paths of each."""
    found = {}
    for name in (SECRET_KEY_FILE, KEYS_FILE):
        if name in manifest.files:
            new = config.data_dir / f"{name}{_NEW}"
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(pieces_of(archive, manifest, name))
                file.flush()
                os.fsync(file.fileno())
            found[new] = config.data_dir / name
    return found


def _place(places: dict[Path, Path]) -> list[Path]:
    """Move new files to their places, and what is there aside; return where that is now."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    moved = []
    for new, place in places.items():
        for old in (place, *(place.with_name(f"{place.name}{end}") for end in ("-wal", "-shm"))):
            if old.exists():
                aside = old.with_name(f"{place.name}.before-{time}{old.name[len(place.name) :]}")
                os.rename(old, aside)
                moved.append(aside)
        os.rename(new, place)
    return moved


def _load_tables(
    archive: zipfile.ZipFile, manifest: Manifest, server: DatabaseServer, progress: Progress
) -> None:
    """Load the rows of a backup into an empty database of PostgreSQL."""
    from database import server_copy
    from database.postgresql import database_of

    database = database_of(server)
    with database.connection_context():
        if not server_copy.is_empty(database):
            raise BackupError(
                f"The database {server} is not empty, and a backup is not restored over it. Create "
                "an empty database, name it in TOCSIN_DATABASE_URL, and restore into that."
            )
        total = sum(file["bytes"] for file in manifest.files.values())
        with progress("Loading the tables", total) as advance:

            def pieces(table: str) -> Iterator[bytes]:
                for piece in pieces_of(archive, manifest, f"{TABLE_FOLDER}/{table}"):
                    advance(len(piece))
                    yield piece

            server_copy.load(
                database,
                manifest.steps[-1],
                manifest.details["columns"],
                pieces,
                manifest.details["sequences"],
            )
