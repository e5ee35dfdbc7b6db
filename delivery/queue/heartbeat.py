"""The worker's sign of life: it sets the time of its lock's file at every round of its loop."""

import os
from pathlib import Path

LOCK_NAME = "worker.lock"
# A round takes a second, and up to 5 s more while another process holds the database.
MAX_SILENCE = 15.0  # seconds until users are warned
REPLACED_AFTER = 30.0  # seconds until its supervisor replaces it


def beat(lock: int) -> None:
    """Record that the worker runs; `lock` is the descriptor of its lock's file."""
    os.utime(lock)


def seconds_silent(folder: Path, now: float) -> float | None:
    """Return the seconds since the last sign of life; None if no worker has ever run.

    `now` is the time in seconds since the epoch, by the clock of the file system.
    """
    try:
        beat_at = (folder / LOCK_NAME).stat().st_mtime
    except OSError:
        return None
    return max(0.0, now - beat_at)
