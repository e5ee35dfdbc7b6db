"""Wake the worker: through a named pipe in the data folder, and through PostgreSQL.

A wake-up may be lost: the worker looks for due deliveries every second anyway.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from peewee import PeeweeException

from delivery.queue.slots import slot_file
from models import db


def notify(folder: Path) -> None:
    """Wake the first worker of a data folder, or of every one that uses a shared database."""
    if not db.is_shared:
        interrupt(folder)
        return
    with contextlib.suppress(PeeweeException):
        db.notify()


def interrupt(folder: Path, slot: int = 0) -> None:
    """Wake a worker of a data folder, without the database."""
    with contextlib.suppress(OSError):
        pipe = os.open(_pipe(folder, slot), os.O_WRONLY | os.O_NONBLOCK)
        with os.fdopen(pipe, "wb", buffering=0) as writer:
            writer.write(b".")


def listen(folder: Path, on_wakeup: Callable[[], None], slot: int = 0) -> None:
    """Call `on_wakeup` in a thread at every wake-up; do nothing without a pipe or a server.

    Of the workers of a data folder, the first one listens to the server, and wakes the others.
    """
    if db.is_shared and slot == 0:
        _start(db.obj.listen, on_wakeup)
    with contextlib.suppress(OSError):  # it exists already, or the file system has no pipes
        os.mkfifo(_pipe(folder, slot), 0o600)
    with contextlib.suppress(OSError):
        # Open for writing too, so that reading does not end with the last writer.
        pipe = os.open(_pipe(folder, slot), os.O_RDWR)
        _start(_read, pipe, on_wakeup)


def _pipe(folder: Path, slot: int) -> Path:
    return slot_file(folder, slot, "pipe")


def _start(function: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True, name="wakeup").start()


def _read(pipe: int, on_wakeup: Callable[[], None]) -> None:
    while os.read(pipe, 4096):
        on_wakeup()
