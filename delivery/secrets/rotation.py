"""The encryption keys and what they are for: the canary that tells wrong ones at the start, and the rotation to a new one."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.fernet import Fernet

from config import Config, ConfigError, read_keys
from delivery.secrets.encryption import DecryptionError, Keyring
from models import Channel, Fact, db

CANARY = "keys"
_WRONG = "TOCSIN_ENCRYPTION_KEYS: these keys do not open what this database holds; put the right ones back, in the variable "
_WRONG += "or, where it is not set, in the file encryption.keys of the data folder"


class WrongKeys(ConfigError):
    """The keys open nothing of what the database holds."""


@dataclass(frozen=True)
class Rotation:
    """How many channels were sealed anew, the names of those that could not be opened, and whether the old keys are gone."""

    resealed: int
    left: tuple[str, ...]
    dropped: bool = False


def check(keyring: Keyring) -> None:
    """Judges the keys of a start, and leaves a canary in the database where there is none. Raises WrongKeys."""
    with db.atomic():
        canary = Fact.get_or_none(Fact.name == CANARY)
        if canary is None:
            _refuse_wrong(keyring)
            _set_canary(keyring)
        elif not _opens(keyring, CANARY, canary.value):
            raise WrongKeys(_WRONG)


def rotate(config: Config) -> Rotation:
    """Seals all channels with a new key, of a configuration that has its keys and a database that is open.

    The new key is the variable's first one, or is made and put into the file, where the old ones stay as long as a row that
    cannot be opened may need them. May be broken off anywhere: run it again. Raises WrongKeys, ConfigError, DatabaseError.
    """
    if config.keys_file is None:
        _refuse_wrong(Keyring(config.encryption_keys))
        return _reseal(Keyring(config.encryption_keys))
    with _alone(config.keys_file.parent) as folder:
        old = read_keys(config.keys_file)
        _refuse_wrong(Keyring(old))
        keys = (Fernet.generate_key().decode(), *old)
        _write(config.keys_file, keys, folder)
        rotation = _reseal(Keyring(keys))
        if not rotation.left:
            _write(config.keys_file, keys[:1], folder)
        return replace(rotation, dropped=not rotation.left)


def _refuse_wrong(keyring: Keyring) -> None:
    """Keys that open one thing are right, whatever else is damaged; nothing can be said where nothing is sealed."""
    sealed = [(CANARY, fact.value) for fact in Fact.select().where(Fact.name == CANARY)]
    sealed += [(f"channel {row.id}", row.sealed) for row in Channel.listed()]
    if sealed and not any(_opens(keyring, *one) for one in sealed):
        raise WrongKeys(_WRONG)


def _opens(keyring: Keyring, purpose: str, token: str) -> bool:
    with contextlib.suppress(DecryptionError):
        keyring.decrypt(purpose, token)
        return True
    return False


def _set_canary(keyring: Keyring) -> None:
    Fact.replace(name=CANARY, value=keyring.encrypt(CANARY, {"opens": True})).execute()


def _reseal(keyring: Keyring) -> Rotation:
    """Everything in one transaction; what does not open stays as it is."""
    with db.atomic():
        rows, left = list(Channel.listed()), []
        for row in rows:
            try:
                token = keyring.encrypt(
                    f"channel {row.id}", keyring.decrypt(f"channel {row.id}", row.sealed)
                )
                Channel.update(sealed=token).where(Channel.id == row.id).execute()
            except DecryptionError:
                left.append(row.name)
        _set_canary(keyring)
    return Rotation(len(rows) - len(left), tuple(left))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """One rotation at a time: the lock is on the folder itself and leaves no file. Gives the open folder."""
    try:
        with contextlib.ExitStack() as at_the_end:
            descriptor = os.open(folder, os.O_RDONLY)
            at_the_end.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
    except OSError as error:
        raise ConfigError(
            f"TOCSIN_DATA_DIR: the keys in {folder} cannot be written: {error.strerror or error}"
        ) from error


def _write(path: Path, keys: tuple[str, ...], folder: int) -> None:
    """Replaces the file in one step, on the disk before this returns: no row may need a key that a power cut takes."""
    fresh, now = path.with_name(f"{path.name}.new"), time.time_ns()
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        # Whoever rotates as root leaves the file to the user that the server runs as.
        os.fchown(file.fileno(), path.stat().st_uid, -1)
        # A file system's own clock may stand still for milliseconds, and a server tells a new file by its time.
        os.utime(file.fileno(), ns=(now, now))
        os.fsync(file.fileno())
    os.replace(fresh, path)
    os.fsync(folder)
