"""Secrets that files of channels name: `env:NAME` and `file:/path`."""

import os
from collections.abc import Mapping
from pathlib import Path

MAX_SECRET_BYTES = 64 * 1024


def read_reference(source: str, name: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the secret in an environment variable (`env`) or in a file (`file`).

    A line end after the secret is not a part of it.

    Raises:
        ValueError: there is none, or it cannot be read; the message is a sentence.
    """
    if source == "env":
        value = (os.environ if environ is None else environ).get(name, "")
        if not value:
            raise ValueError(f"The environment variable {name} is not set.")
        return value
    try:
        with Path(name).open("rb") as file:
            value = file.read(MAX_SECRET_BYTES + 1).decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"The file {name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"The file {name} is not text.") from None
    if not value or len(value) > MAX_SECRET_BYTES:
        raise ValueError(f"The file {name} is empty, or larger than {MAX_SECRET_BYTES} bytes.")
    return value
