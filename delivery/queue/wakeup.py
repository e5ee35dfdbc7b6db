"""Wake the worker through a named pipe in the data folder.

A wake-up may be lost: the worker looks for due deliveries every second anyway.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

PIPE_NAME = "worker.pipe"


def notify(folder: Path) -> None:
    """Wake the worker of a data folder, if it listens."""
    with contextlib.suppress(OSError):
        pipe = os.open(folder / PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
        with os.fdopen(pipe, "wb", buffering=0) as writer:
            writer.write(b".")


def listen(folder: Path, on_wakeup: Callable[[], None]) -> None:
    """Call `on_wakeup` in a thread at every wake-up; do nothing without a pipe."""
    with contextlib.suppress(OSError):  # it exists already, or the file system has no pipes
        os.mkfifo(folder / PIPE_NAME, 0o600)
    with contextlib.suppress(OSError):
        # Open for writing too, so that reading does not end with the last writer.
        pipe = os.open(folder / PIPE_NAME, os.O_RDWR)
        threading.Thread(target=_read, args=(pipe, on_wakeup), daemon=True, name="wakeup").start()


def _read(pipe: int, on_wakeup: Callable[[], None]) -> None:
    while os.read(pipe, 4096):
        on_wakeup()
