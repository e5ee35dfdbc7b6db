"""Crash marker: which message the worker is building.

A delivery that crashes the worker can be identified by it.
"""

import contextlib
import os
from pathlib import Path


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
