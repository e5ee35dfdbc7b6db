"""Single-worker lock and crash marker.

Only one worker may run per data folder. The marker records which message is being built, so that
a delivery that crashes the worker can be identified.
"""

import contextlib
import os
import threading
from pathlib import Path

from locks import file_lock

# Never closed: the lock ends with the process, after the last of its threads that send.
_worker_lock = contextlib.ExitStack()


class CrashMarker:
    """The id of the delivery whose message is being built, in a file.

    `crashed_on` is the one that an earlier process left behind, or 0.
    """

    def __init__(self, path: Path):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.crashed_on = int.from_bytes(os.pread(self._file, 8, 0), "big")

    def record(self, delivery_id: int) -> None:
        """Write an id, or 0 for none. It outlives the process, not the machine."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, delivery_id.to_bytes(8, "big"), 0)


def acquire_worker_lock(folder: Path, stop: threading.Event) -> bool:
    """Wait for the lock of a data folder; return False if `stop` is set first."""
    while not stop.is_set():
        with contextlib.suppress(BlockingIOError):
            _worker_lock.enter_context(file_lock(folder / "worker.lock", wait=False))
            return True
        stop.wait(0.2)
    return False
