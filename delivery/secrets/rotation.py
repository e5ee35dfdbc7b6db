"""The check of the encryption keys at the start, and their rotation to a new key."""

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet

from clock import now_ms
from config import Config, ConfigError, read_keys
from delivery.outbox import reencrypt_bodies
from delivery.secrets.encryption import (
    DecryptionError,
    Keyring,
    body_purpose,
    channel_purpose,
    lab_purpose,
)
from locks import file_lock
from models import AuditAction, AuditEntry, Channel, ChannelVersion, Fact, LabReceiver, db

# The fact that holds a token of the current keys. Only the right keys decrypt it.
KEY_CHECK = "keys"
Advance = Callable[[int], None]  # gets how much more is done


class WrongKeys(ConfigError):
    """The keys decrypt nothing of what the database holds."""

    def __init__(self) -> None:
        super().__init__(
            "TOCSIN_ENCRYPTION_KEYS: these keys do not decrypt this database; restore the right "
            "keys, in the variable or, if it is not set, in the file encryption.keys of the data "
            "folder"
        )


class Rotation(NamedTuple):
    """The result of a rotation.

    `reencrypted` counts the channels under the new key, and `undecryptable` names the channels
    that no key decrypts.
    """

    reencrypted: int
    undecryptable: tuple[str, ...]
    old_keys_removed: bool = False


def check_keys(keyring: Keyring) -> None:
    """Check the keys against the database; the first check stores the token for the next ones.

    Raises:
        WrongKeys: the keys are not those of this database.
    """
    with db.atomic():
        fact = Fact.get_or_none(Fact.name == KEY_CHECK)
        if fact is None:
            _refuse_wrong_keys(keyring)
            _store_key_check(keyring)
            detail = "The first start with these encryption keys."
            AuditEntry.record(AuditAction.KEYS_CREATED, "Tocsin", detail, now_ms())
        elif not _decrypts(keyring, KEY_CHECK, fact.value):
            raise WrongKeys


def rotate(config: Config, advance: Advance = lambda _number: None) -> Rotation:
    """Encrypt every stored secret and message with a new key; the database must be open.

    The new key is the first one of the variable. Without the variable, a new key is added to the
    file, and the old keys are removed unless a row that cannot be decrypted may need them. A
    rotation that was interrupted at any step can be run again. `advance` is called twice for each
    channel: for the channel itself, and for its versions.

    Raises:
        WrongKeys: the keys are not those of this database.
        ConfigError: the file of the keys cannot be read or written.
        DatabaseError: the database failed.
    """
    if config.keys_file is None:
        keyring = Keyring(config.encryption_keys)
        _refuse_wrong_keys(keyring)
        return _reencrypt(keyring, advance)
    folder = config.keys_file.parent
    try:
        # One rotation at a time: the lock is on the folder and leaves no file.
        with file_lock(folder) as descriptor:
            return _rotate_file(config.keys_file, descriptor, advance)
    except OSError as error:
        raise ConfigError(
            f"TOCSIN_DATA_DIR: the keys in {folder} cannot be written: {error.strerror or error}"
        ) from error


def _rotate_file(path: Path, folder: int, advance: Advance) -> Rotation:
    old_keys = read_keys(path)
    _refuse_wrong_keys(Keyring(old_keys))
    new_key = Fernet.generate_key().decode()
    keys = (new_key, *old_keys)
    _write(path, keys, folder)
    rotation = _reencrypt(Keyring(keys), advance)
    if rotation.undecryptable:
        return rotation
    _write(path, (new_key,), folder)
    return rotation._replace(old_keys_removed=True)


def _refuse_wrong_keys(keyring: Keyring) -> None:
    """Raise WrongKeys if the keys decrypt none of the stored tokens.

    One decrypted token proves the keys, whatever else is damaged.
    """
    tokens = [(KEY_CHECK, fact.value) for fact in Fact.select().where(Fact.name == KEY_CHECK)]
    tokens += [(channel_purpose(channel.id), channel.sealed) for channel in Channel.listed()]
    if tokens and not any(_decrypts(keyring, *token) for token in tokens):
        raise WrongKeys


def _decrypts(keyring: Keyring, purpose: str, token: str) -> bool:
    with contextlib.suppress(DecryptionError):
        keyring.decrypt(purpose, token)
        return True
    return False


def _store_key_check(keyring: Keyring) -> None:
    Fact.store(KEY_CHECK, keyring.encrypt(KEY_CHECK, {"opens": True}))


def _reencrypt(keyring: Keyring, advance: Advance) -> Rotation:
    """Encrypt every row again in one transaction; a row that cannot be decrypted stays."""
    undecryptable = []
    with db.atomic():
        channels = list(Channel.listed())
        for channel in channels:
            advance(1)
            purpose = channel_purpose(channel.id)
            try:
                values = keyring.decrypt(purpose, channel.sealed)
            except DecryptionError:
                undecryptable.append(channel.name)
                continue
            token = keyring.encrypt(purpose, values)
            Channel.update(sealed=token).where(Channel.id == channel.id).execute()
        reencrypt_bodies(partial(_reencrypt_body, keyring))
        _reencrypt_lab(keyring)
        _store_key_check(keyring)
    for channel in channels:
        _reencrypt_versions(keyring, channel)
        advance(1)
    return Rotation(len(channels) - len(undecryptable), tuple(undecryptable))


def _reencrypt_versions(keyring: Keyring, channel: Channel) -> None:
    """Encrypt the versions of a channel again, in one transaction; a damaged one stays.

    One that a server stores after the transaction of the channels has the new key already.
    """
    purpose = channel_purpose(channel.id)
    with db.atomic():
        for version in ChannelVersion.of(channel):
            with contextlib.suppress(DecryptionError):
                token = keyring.encrypt(purpose, keyring.decrypt(purpose, version.sealed))
                ChannelVersion.set_by_id(version.id, {"sealed": token})


def _reencrypt_lab(keyring: Keyring) -> None:
    """Encrypt the secrets of the lab's receivers again; one that no key decrypts stays."""
    for receiver in LabReceiver.select().where(LabReceiver.sealed != ""):
        purpose = lab_purpose(receiver.id)
        with contextlib.suppress(DecryptionError):
            token = keyring.encrypt(purpose, keyring.decrypt(purpose, receiver.sealed))
            LabReceiver.update(sealed=token).where(LabReceiver.id == receiver.id).execute()


def _reencrypt_body(keyring: Keyring, delivery_id: int, token: str) -> str | None:
    """Return a delivery's body under the new key; None for one that is built again."""
    purpose = body_purpose(delivery_id)
    with contextlib.suppress(DecryptionError):
        return keyring.encrypt(purpose, keyring.decrypt(purpose, token))
    return None


def _write(path: Path, keys: tuple[str, ...], folder: int) -> None:
    """Replace the file atomically, and return when it is on the disk.

    No row may need a key that a power failure would lose. `folder` is the descriptor of the
    folder.
    """
    new_file = path.with_name(f"{path.name}.new")
    new_file.unlink(missing_ok=True)
    now = time.time_ns()
    with os.fdopen(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        # A rotation as root leaves the file to the user that the server runs as.
        os.fchown(file.fileno(), path.stat().st_uid, -1)
        # The clock of a file system may stand still for milliseconds, and a server recognizes a
        # new file by its time.
        os.utime(file.fileno(), ns=(now, now))
        os.fsync(file.fileno())
    os.replace(new_file, path)
    os.fsync(folder)
