"""Whose the outbox is: one worker's at a time, and what the one before it was doing when it died."""

import contextlib
import fcntl
import os
import threading
from pathlib import Path


class CrashMarker:
    """The number of the delivery whose message is being made, in a file of eight bytes that outlives the process."""

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.left = int.from_bytes(os.pread(self._file, 8, 0), "big")

    def note(self, number: int) -> None:
        """Writes the number, 0 for none. What is written stays when the process is killed, and need not outlive the machine."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, number.to_bytes(8, "big"), 0)


def alone(folder: Path, stop: threading.Event) -> bool:
    """Waits until no other worker works on this folder; whether that came before `stop`. The lock ends with the process."""
    lock = os.open(folder / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    while not stop.is_set():
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        stop.wait(0.2)
    return False
