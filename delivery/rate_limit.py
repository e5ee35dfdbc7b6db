"""Limit how many messages leave in a time, separately for each key."""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable

MAX_KEYS = 10_000
AT_ONCE = 4  # the part of a limit that leaves without a pause: a quarter
RateLimit = tuple[tuple[int, float], ...]  # pairs of a count and the seconds that it is allowed in


class RateLimiter:
    """Remember when messages left for each key, and when the next may leave. Thread-safe.

    All times are in seconds of a clock that does not jump. A limit that is `spread` lets a quarter
    of its messages leave at once and the others at even intervals, so that an urgent one never
    waits until all of the time is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def look(
        self, key: Hashable, rate_limit: RateLimit, now: float, *, spread: bool = False
    ) -> float:
        """Return the seconds until a message may leave for a key; 0 if it may leave now."""
        sent = self._sent.get(key) or deque()
        waits = [0.0]
        for count, seconds in rate_limit:
            if len(sent) >= count:
                waits.append(sent[-count] + seconds - now)
            at_once = count // AT_ONCE
            if spread and at_once and len(sent) >= at_once and sent[-at_once] + seconds > now:
                waits.append(sent[-1] + seconds / count - now)
        return max(waits)

    def wait(
        self, key: Hashable, rate_limit: RateLimit, now: float, *, spread: bool = False
    ) -> float:
        """Return the same seconds, and record that a message leaves now if they are 0."""
        if not rate_limit:
            return 0.0
        with self._lock:
            longest = max(count for count, _ in rate_limit)
            sent = self._sent.setdefault(key, deque(maxlen=longest))
            self._sent.move_to_end(key)
            if len(self._sent) > MAX_KEYS:
                self._sent.popitem(last=False)
            seconds = self.look(key, rate_limit, now, spread=spread)
            if not seconds:
                sent.append(now)
        return seconds
