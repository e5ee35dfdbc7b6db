"""What the worker waits for: results of its attempts, and wake-ups."""

import contextlib
import queue
from collections.abc import Callable, Iterator

from delivery.queue.runs import Run
from delivery.queue.settlement import FinishedAttempt
from delivery.sender import Clock

MAX_GATHER = 0.02  # seconds


class Inbox:
    """Attempts that have finished, runs that have ended, and wake-ups; any thread may put them."""

    def __init__(self, monotonic: Clock):
        self._monotonic = monotonic
        self._queue: queue.SimpleQueue[Run | FinishedAttempt | None] = queue.SimpleQueue()

    def put(self, item: Run | FinishedAttempt) -> None:
        """Add a result."""
        self._queue.put(item)

    def wake(self) -> None:
        """End the wait of the worker."""
        self._queue.put(None)

    def take(
        self, timeout: float, gather: float, may_come: Callable[[], bool]
    ) -> Iterator[Run | FinishedAttempt]:
        """Yield the results; wait at most `timeout` seconds for the first one, or a wake-up.

        More are awaited for `gather` seconds (not long) while `may_come()`: many results share a
        transaction.
        """
        with contextlib.suppress(queue.Empty):
            item = self._queue.get(timeout > 0, timeout)
            until = self._monotonic() + min(gather, MAX_GATHER)
            while True:
                if item:
                    yield item
                wait = until - self._monotonic()
                is_worth_it = item is not None and wait > 0 and may_come()
                item = self._queue.get(is_worth_it, wait)
