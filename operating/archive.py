"""The file of a backup: a zip archive with the database, a manifest, and the keys if wanted."""

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024
_COMPRESSION = 1  # a quarter of the time of the default, for a fifth more bytes

Progress = Callable[[str, int], contextlib.AbstractContextManager[Callable[[int], None]]]


class BackupError(Exception):
    """A backup cannot be written or used; the message says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a backup has in it. `files` has the length and the SHA-256 of each file by its name."""

    version: str
    created_at: str
    database: str
    steps: list[str]
    counts: dict[str, int]
    details: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def has_keys(self) -> bool:
        """Return True if the backup can decrypt its channels without other keys."""
        return "encryption.keys" in self.files


class ArchiveWriter:
    """Writes the members of an archive; `files` notes the length and SHA-256 of each."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that appends to a new member."""
        digest = hashlib.sha256()
        length = 0
        with self._archive.open(name, "w", force_zip64=True) as file:

            def write(data: bytes) -> None:
                nonlocal length
                length += len(data)
                digest.update(data)
                file.write(data)

            yield write
        self.files[name] = {"bytes": length, "sha256": digest.hexdigest()}

    def add(self, name: str, text: str) -> None:
        """Add a member with a text."""
        with self.member(name) as write:
            write(text.encode())


@contextlib.contextmanager
def new_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive that only its owner can read; it is on the disk when the block ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        with zipfile.ZipFile(
            file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION
        ) as archive:
            yield ArchiveWriter(archive)
        file.flush()
        os.fsync(file.fileno())


def add_manifest(writer: ArchiveWriter, manifest: Manifest) -> None:
    """Add the manifest, which has all members that were added before."""
    text = json.dumps({**asdict(manifest), "files": dict(writer.files)}, indent=2)
    writer.add(MANIFEST, f"{text}\n")


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """Open a backup, and yield the archive and its manifest.

    Raises:
        BackupError: the file is no backup, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _manifest_of(archive, path)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise BackupError(
            f"{path} is no backup of Tocsin, or is damaged ({error}). Use another one."
        ) from error


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        manifest = Manifest(**json.loads(archive.read(MANIFEST)))
    except (KeyError, TypeError, ValueError):
        raise BackupError(f"{path} has no manifest of a backup that this version reads.") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"{path} has the format {manifest.format} of Tocsin {manifest.version}; install that "
            "version to restore it."
        )
    return manifest


def verify(path: Path, progress: Progress) -> Manifest:
    """Read every member of a backup, and compare it with the manifest.

    Raises:
        BackupError: a member is missing or differs.
    """
    with open_archive(path) as (archive, manifest):
        total = sum(file["bytes"] for file in manifest.files.values())
        with progress("Reading it back", total) as advance:
            for name in manifest.files:
                for piece in pieces_of(archive, manifest, name):
                    advance(len(piece))
    return manifest


def pieces_of(archive: zipfile.ZipFile, manifest: Manifest, name: str) -> Iterator[bytes]:
    """Yield the bytes of a member.

    Raises:
        BackupError: at the end, if they are not those of the manifest; or the member is missing.
    """
    digest = hashlib.sha256()
    try:
        file: IO[bytes] = archive.open(name)
    except KeyError:
        raise BackupError(f"{name} is missing in the backup. Use another one.") from None
    with file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != manifest.files[name]["sha256"]:
        raise BackupError(f"{name} in the backup is damaged. Use another one.")
