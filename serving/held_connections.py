"""Connections that stay open after their request was handled, and that hold no thread.

The lab asks for this: a receiver that is slow, that never answers, or that resets the connection.
A view calls `environ["tocsin.hold"]` with an `Ending`; its response is then not sent.
"""

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

HOLD = "tocsin.hold"
MAX_HELD = 100  # connections of a process; above this, the oldest are ended
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Ending(NamedTuple):
    """How a connection ends: after some seconds, with these bytes, or with a reset."""

    seconds: float = 0.0
    data: bytes = b""
    is_reset: bool = False


class HeldConnections:
    """The connections that are held, all of them in the main thread of a process.

    `close` closes a connection at once, `linger` when its client has read what was sent.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        close: Callable[[Any], None],
        linger: Callable[[Any], None],
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._poller = poller
        self._close = close
        self._linger = linger
        self._monotonic = monotonic
        self._held: dict[Any, tuple[float, Ending]] = {}  # by connection, the oldest first

    def hold(self, connection: Any, ending: Ending) -> None:
        """Hold a connection until its time is over, or its client closes it."""
        connection.sock.setblocking(False)
        self._poller.register(
            connection.sock, selectors.EVENT_READ, lambda _sock: self._receive(connection)
        )
        self._held[connection] = (self._monotonic() + ending.seconds, ending)
        if not ending.seconds:
            self._end(connection)
        if len(self._held) > MAX_HELD:
            self._end(next(iter(self._held)))

    def end_due(self, is_stopping: bool) -> None:
        """End the connections whose time is over; all of them when the process stops."""
        now = self._monotonic()
        for connection, (until, _ending) in list(self._held.items()):
            if is_stopping or now >= until:
                self._end(connection)

    def _receive(self, connection: Any) -> None:
        """Discard what a client sends, and notice that it has closed the connection."""
        if connection not in self._held:  # ended since the poller reported it
            return
        try:
            if connection.sock.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(connection)
        self._close(connection)

    def _end(self, connection: Any) -> None:
        ending = self._forget(connection)
        if ending.is_reset:
            with contextlib.suppress(OSError):
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._close(connection)
            return
        with contextlib.suppress(OSError):
            if ending.data:
                connection.sock.send(ending.data)
        self._linger(connection)

    def _forget(self, connection: Any) -> Ending:
        self._poller.unregister(connection.sock)
        return self._held.pop(connection)[1]
