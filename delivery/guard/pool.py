"""Keep connections open between deliveries."""

import threading
import time

from delivery.guard.adapter import Connection

KEPT_SECONDS = 5.0

MOST_KEPT = 64


class ConnectionPool:
    """Connections that stay open for a few seconds after an exchange, for a next one to the same place. For many threads."""

    def __init__(self, seconds: float = KEPT_SECONDS, most: int = MOST_KEPT):
        self._seconds, self._most = seconds, most
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple, float, Connection]] = []

    def take(self, key: tuple) -> Connection | None:
        """One that was given under this key, is young enough, and that the receiver has not closed; else None."""
        with self._lock:
            self._close_old()
            found = next((entry for entry in reversed(self._idle) if entry[0] == key), None)
            if found:
                self._idle.remove(found)
        if found and not found[2].is_connected:
            found[2].close()
            return None
        return found[2] if found else None

    def give(self, key: tuple, connection: Connection) -> None:
        """Keeps a connection whose last answer was read to its end; the oldest goes when there are too many."""
        with self._lock:
            self._idle.append((key, time.monotonic(), connection))
            self._close_old()

    def close(self) -> None:
        """Closes all that are idle."""
        with self._lock:
            self._close_old(everything=True)

    def _close_old(self, everything: bool = False) -> None:
        latest = time.monotonic() - self._seconds
        while self._idle and (
            everything or self._idle[0][1] < latest or len(self._idle) > self._most
        ):
            self._idle.pop(0)[2].close()
