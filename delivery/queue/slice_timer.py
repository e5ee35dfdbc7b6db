"""When the next slice of a long task may run, so that others get their turn."""

import math
from collections.abc import Callable


class SliceTimer:
    """Runs one slice of a task at a time; `wait` is the time until the next one in seconds.

    After a slice, it rests for `rest` times the length of that, at least `min_rest` seconds. At the
    end of the task, and after a slice that failed, it pauses for `pause` seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, rest: float, min_rest: float, pause: float
    ):
        self._monotonic = monotonic
        self._rest = rest
        self._min_rest = min_rest
        self._pause = pause
        self._next_at = -math.inf
        self._is_busy = False

    @property
    def wait(self) -> float:
        """The seconds until the next slice; infinite while there is nothing to do."""
        if not self._is_busy:
            return math.inf
        return max(0.0, self._next_at - self._monotonic())

    def run(self, run_slice: Callable[[], bool]) -> None:
        """Run a slice if it is time; it returns False at the end of the task."""
        start = self._monotonic()
        if start < self._next_at:
            return
        self._is_busy = False
        self._next_at = start + self._pause
        if run_slice():
            self._is_busy = True
            end = self._monotonic()
            self._next_at = end + max(self._min_rest, self._rest * (end - start))
