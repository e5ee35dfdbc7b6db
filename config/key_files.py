"""Key files in the data folder."""

import contextlib
import os
from pathlib import Path
from typing import Any

from config.errors import config_errors
from config.values import PARSERS


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the encryption keys in a file; the first one encrypts.

    Raises:
        ConfigError: the file cannot be read or holds no valid keys.
    """
    return read_key_file("TOCSIN_ENCRYPTION_KEYS", path)


def create_if_missing(path: Path, text: str) -> None:
    """Write a key file that only its owner can read, unless the file exists."""
    with config_errors("TOCSIN_DATA_DIR", f"{path}: "), contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)


def read_key_file(name: str, path: Path) -> Any:
    """Return the value of a variable in a file of the data folder.

    Raises:
        ConfigError: the file cannot be read, or its value is invalid.
    """
    with config_errors(name, f"{path}: "):
        text = path.read_text().strip()
        if not text:
            raise ValueError("the file is empty; restore the key")
        return PARSERS[name](text)
