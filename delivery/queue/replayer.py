"""Carries out replays between the rounds of the worker."""

import math
from collections.abc import Callable

from delivery import outbox

LOOK_INTERVAL = 1.0  # seconds between looks for a new replay
REST = 1  # times the length of a slice, in which the worker sends
MIN_REST = 0.01  # seconds


class Replayer:
    """Runs one slice of a replay at a time; `wait` is the time until the next one in seconds."""

    def __init__(self, monotonic: Callable[[], float]):
        self._monotonic = monotonic
        self._next_at = -math.inf
        self._is_busy = False

    @property
    def wait(self) -> float:
        """The seconds until the next slice; infinite without a replay."""
        if not self._is_busy:
            return math.inf
        return max(0.0, self._next_at - self._monotonic())

    def run_slice(self, now: int) -> None:
        """Run a slice if it is time."""
        start = self._monotonic()
        if start < self._next_at:
            return
        self._is_busy = outbox.run_replay_slice(now)
        end = self._monotonic()
        self._next_at = end + max(MIN_REST, REST * (end - start))
        if not self._is_busy:
            self._next_at = end + LOOK_INTERVAL
