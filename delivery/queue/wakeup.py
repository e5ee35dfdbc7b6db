"""Wake the worker: through a named pipe in the data folder, and through PostgreSQL.

A wake-up may be lost: the worker looks for due deliveries every second anyway.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from peewee import PeeweeException

from models import db

PIPE_NAME = "worker.pipe"


def notify(folder: Path) -> None:
    """Wake the workers of a database, if they listen; `folder` is the data folder of this one."""
    if not db.is_shared:
        interrupt(folder)
        return
    with contextlib.suppress(PeeweeException):
        db.notify()


def interrupt(folder: Path) -> None:
    """Wake the worker of a data folder, without the database."""
    with contextlib.suppress(OSError):
        pipe = os.open(folder / PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
        with os.fdopen(pipe, "wb", buffering=0) as writer:
            writer.write(b".")


def listen(folder: Path, on_wakeup: Callable[[], None]) -> None:
    """Call `on_wakeup` in a thread at every wake-up; do nothing without a pipe or a server."""
    if db.is_shared:
        _start(db.obj.listen, on_wakeup)
    with contextlib.suppress(OSError):  # it exists already, or the file system has no pipes
        os.mkfifo(folder / PIPE_NAME, 0o600)
    with contextlib.suppress(OSError):
        # Open for writing too, so that reading does not end with the last writer.
        pipe = os.open(folder / PIPE_NAME, os.O_RDWR)
        _start(_read, pipe, on_wakeup)


def _start(function: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True, name="wakeup").start()


def _read(pipe: int, on_wakeup: Callable[[], None]) -> None:
    while os.read(pipe, 4096):
        on_wakeup()
