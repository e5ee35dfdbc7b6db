"""The worker's sign of life: it sets the time of its lock's file at every round of its loop."""

import os
from pathlib import Path

from delivery.queue.slots import slot_file

# A round takes a second, and up to 5 s more while another process holds the database.
MAX_SILENCE = 15.0  # seconds until users are warned
REPLACED_AFTER = 30.0  # seconds until its supervisor replaces it


def beat(lock: int) -> None:
    """Record that the worker runs; `lock` is the descriptor of its lock's file."""
    os.utime(lock)


def lock_path(folder: Path, slot: int = 0) -> Path:
    """Return the path of a worker's lock."""
    return slot_file(folder, slot, "lock")


def seconds_silent(folder: Path, now: float) -> float | None:
    """Return the seconds since the last sign of life; None if no worker has ever run.

    It is that of the first worker, which wakes the others. `now` is the time in seconds since the
    epoch, by the clock of the file system.
    """
    try:
        beat_at = lock_path(folder).stat().st_mtime
    except OSError:
        return None
    return max(0.0, now - beat_at)
