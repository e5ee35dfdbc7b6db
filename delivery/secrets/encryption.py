"""Seals what must not be read from a stolen database: Fernet tokens that say inside what they were sealed for."""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config import ConfigError, read_keys


class DecryptionError(ValueError):
    """A sealed value that these keys do not open, or that was sealed for something else; a sentence for a page."""


class _Known(NamedTuple):
    keys: tuple[str, ...]
    fernet: MultiFernet
    stamp: tuple[int, ...] | None

    @classmethod
    def of(cls, keys: tuple[str, ...], stamp: tuple[int, ...] | None = None) -> "_Known":
        return cls(keys, MultiFernet([Fernet(key) for key in keys]), stamp)


class Keyring:
    """The encryption keys: the first one seals, all of them open. With a file, they follow what stands in it."""

    def __init__(self, keys: tuple[str, ...], file: Path | None = None):
        self._known, self._file = _Known.of(keys), file

    def encrypt(self, purpose: str, values: dict) -> str:
        """A token that holds `values` (anything JSON has) and opens for this `purpose` alone."""
        return (
            self._current()
            .encrypt(json.dumps({"for": purpose, "values": values}).encode())
            .decode()
        )

    def decrypt(self, purpose: str, token: str) -> dict:
        """The values of a token. Raises Unopenable."""
        try:
            opened = json.loads(self._current().decrypt(token.encode()))
        except (InvalidToken, ValueError, TypeError, RecursionError):
            raise DecryptionError(
                "Its URL and secrets cannot be opened: the row is damaged, or sealed with another key."
            ) from None
        values = opened.get("values") if isinstance(opened, dict) else None
        if not isinstance(values, dict) or opened.get("for") != purpose:
            raise DecryptionError("Its URL and secrets belong to another channel.")
        return values

    # Why a rotation (delivery/vault.py) may run beside a server: every row is sealed inside the write transaction that stores
    # it (web/editor.py save, web/channels.py duplicate; BEGIN IMMEDIATE lets in one at a time), and the file has the new key
    # before the rotation's transaction begins. What was sealed with the old key was therefore stored before that transaction,
    # which seals it anew; whatever comes after it looks at the file first and finds the new key. Keys that have left the file
    # go on opening here: rows that were read just before, and what pages that are open carry.
    def _current(self) -> MultiFernet:
        """The keys as the file has them now. One that is away, empty or broken just now leaves them as they were."""
        known = self._known
        with contextlib.suppress(OSError, ConfigError):
            stamp = self._stamp()
            if stamp != known.stamp and self._file:
                # One assignment of all that belongs together: threads need no lock.
                self._known = known = _Known.of(
                    tuple(dict.fromkeys((*read_keys(self._file), *known.keys))), stamp
                )
        return known.fernet

    def _stamp(self) -> tuple[int, ...] | None:
        found = os.stat(self._file) if self._file else None
        return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None
