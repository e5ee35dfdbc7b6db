"""Encryption of everything that must not be readable in a stolen database.

A token is a Fernet token that also holds its purpose, so that it cannot be used in another place.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config import ConfigError, read_keys


class DecryptionError(ValueError):
    """A token cannot be decrypted, or has another purpose. The message is a sentence for a page."""


class _LoadedKeys(NamedTuple):
    keys: tuple[str, ...]
    fernet: MultiFernet
    file_version: tuple[int, ...]


class Keyring:
    """The encryption keys: the first key encrypts, all keys decrypt.

    With a file, the keyring reads the file again whenever it has changed.
    """

    def __init__(self, keys: tuple[str, ...], file: Path | None = None):
        self._loaded = _load(keys)
        self._file = file

    def encrypt(self, purpose: str, values: dict) -> str:
        """Return a token that holds the values (any JSON) for this purpose alone."""
        text = json.dumps({"for": purpose, "values": values})
        return self._fernet().encrypt(text.encode()).decode()

    def decrypt(self, purpose: str, token: str) -> dict:
        """Return the values of a token.

        Raises:
            DecryptionError: no key fits, the token is damaged, or it has another purpose.
        """
        try:
            content = json.loads(self._fernet().decrypt(token.encode()))
        except (InvalidToken, ValueError, TypeError, RecursionError):
            raise DecryptionError(
                "Its URL and secrets cannot be decrypted: "
                "the row is damaged, or encrypted with another key."
            ) from None
        match content:
            case {"for": stored_purpose, "values": dict(values)} if stored_purpose == purpose:
                return values
        raise DecryptionError("Its URL and secrets belong to another channel.")

    # Why a rotation (delivery/secrets/rotation.py) may run beside a server: every row is encrypted
    # inside the write transaction that stores it (web/channels/editor.py, web/channels/views.py,
    # web/lab/views.py, delivery/worker.py; BEGIN IMMEDIATE admits one at a time), and the file has
    # the new key before the transaction of the rotation begins. What was encrypted with the old key
    # was therefore stored before that transaction, which encrypts it again; everything after it
    # reads the file first and finds the new key. Keys that have left the file still decrypt here:
    # rows that were read just before, and the tokens in open pages.
    def _fernet(self) -> MultiFernet:
        """Return the current keys; a file that is missing, empty or broken changes nothing."""
        if self._file:
            with contextlib.suppress(OSError, ConfigError):
                status = os.stat(self._file)
                version = (status.st_mtime_ns, status.st_ino, status.st_size)
                if version != self._loaded.file_version:
                    keys = dict.fromkeys((*read_keys(self._file), *self._loaded.keys))
                    # One assignment of everything that belongs together: threads need no lock.
                    self._loaded = _load(tuple(keys), version)
        return self._loaded.fernet


def channel_purpose(channel_id: int) -> str:
    """Return the purpose of the token in a channel's row."""
    return f"channel {channel_id}"


def body_purpose(delivery_id: int) -> str:
    """Return the purpose of the token in a delivery's row."""
    return f"body {delivery_id}"


def lab_purpose(receiver_id: int) -> str:
    """Return the purpose of the token in the row of a receiver of the lab."""
    return f"lab {receiver_id}"


def is_token(text: str) -> bool:
    """Return True if a body is encrypted: no JSON begins as every Fernet token does."""
    return text.startswith("gAAAA")


def _load(keys: tuple[str, ...], file_version: tuple[int, ...] = ()) -> _LoadedKeys:
    return _LoadedKeys(keys, MultiFernet([Fernet(key) for key in keys]), file_version)
