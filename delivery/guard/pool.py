"""Keep connections open between deliveries."""

import threading
import time
from typing import NamedTuple

from delivery.guard.connection import Connection

MAX_IDLE_SECONDS = 5.0
MAX_IDLE_CONNECTIONS = 64


class _Idle(NamedTuple):
    key: tuple
    since: float
    connection: Connection


class ConnectionPool:
    """Connections that stay open for a few seconds, for the next exchange with the same key.

    The pool is thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []

    def take(self, key: tuple) -> Connection | None:
        """Return the newest connection with this key if it is still open, else None."""
        with self._lock:
            self._close_expired()
            entry = next((entry for entry in reversed(self._idle) if entry.key == key), None)
            if entry is None:
                return None
            self._idle.remove(entry)
        if entry.connection.is_connected:
            return entry.connection
        entry.connection.close()
        return None

    def give(self, key: tuple, connection: Connection) -> None:
        """Keep a connection whose last response was read to its end.

        The oldest connection is closed when there are too many.
        """
        with self._lock:
            self._idle.append(_Idle(key, time.monotonic(), connection))
            self._close_expired()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().connection.close()

    def _close_expired(self) -> None:
        oldest = time.monotonic() - MAX_IDLE_SECONDS
        while self._idle and (
            self._idle[0].since < oldest or len(self._idle) > MAX_IDLE_CONNECTIONS
        ):
            self._idle.pop(0).connection.close()
