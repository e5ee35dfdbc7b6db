"""Wakes the worker: a byte through a pipe in the data folder. It may be lost; the worker looks by itself every second."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

PIPE = "worker.pipe"


def notify(folder: Path) -> None:
    """Tells the worker that something is due. Costs next to nothing, and nothing at all goes wrong when nobody listens."""
    with contextlib.suppress(OSError):
        pipe = os.open(folder / PIPE, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, b".")
        finally:
            os.close(pipe)


def listen(folder: Path, woken: Callable[[], None]) -> None:
    """Calls `woken` whenever somebody rings, from a thread of its own. Without a pipe nobody is woken, and all goes on."""
    with contextlib.suppress(OSError):  # there already, or a file system that knows no pipes
        os.mkfifo(folder / PIPE, 0o600)
    with contextlib.suppress(OSError):
        # Opened for writing too, so that it never comes to an end when the last one who rang has left.
        pipe = os.open(folder / PIPE, os.O_RDWR)
        threading.Thread(target=_hear, args=(pipe, woken), daemon=True, name="wake").start()


def _hear(pipe: int, woken: Callable[[], None]) -> None:
    while os.read(pipe, 4096):
        woken()
