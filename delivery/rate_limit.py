"""Keeps a vendor's rate: so many messages in so many seconds, for one place each."""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable

MOST_PLACES = 10_000


class RateLimiter:
    """Remembers when messages left for each place, and says when the next may. For many threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def wait(self, place: Hashable, pace: tuple[tuple[int, float], ...], now: float) -> float:
        """The seconds until a message may leave for `place` at this pace (pairs of a count and seconds).

        0 when it may leave now, and then it counts as having left at `now` (seconds of any clock that does not jump).
        """
        return self._wait(place, pace, now, leaves=True) if pace else 0.0

    def look(self, place: Hashable, pace: tuple[tuple[int, float], ...], now: float) -> float:
        """The same seconds, and nothing counts as having left."""
        return self._wait(place, pace, now, leaves=False) if pace else 0.0

    def _wait(
        self, place: Hashable, pace: tuple[tuple[int, float], ...], now: float, leaves: bool
    ) -> float:
        with self._lock:
            left = self._left.setdefault(place, deque(maxlen=max(count for count, _ in pace)))
            self._left.move_to_end(place)
            while len(self._left) > MOST_PLACES:
                self._left.popitem(last=False)
            wait = max(
                left[-count] + seconds - now if len(left) >= count else 0.0
                for count, seconds in pace
            )
            if wait <= 0 and leaves:
                left.append(now)
        return max(wait, 0.0)
