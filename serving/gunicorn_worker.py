"""gunicorn's threaded worker, which gives a thread to complete requests only.

gunicorn reads a request in one of its few threads, for as long as the client takes. Here the main
loop collects the bytes of all clients, and a client that is too slow is refused. Responses are
sent by the threads: a client that reads nothing for some seconds loses its connection.
"""

import contextlib
import selectors
import socket
import struct
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from serving.request_buffer import RequestBuffer

MAX_SECONDS = 10.0  # for the head of a request, and for a body without the time below
MIN_RATE = 16 * 1024  # bytes in a second
STOP_SECONDS = 2.0  # for a request that is arriving when this process is stopped
SOCKET_TIMEOUT = 10  # seconds in which a thread neither sends nor receives a byte
MAX_RECEIVING = 400  # requests that are arriving; above this, the oldest are refused
MAX_BUFFERED = 64 * 1024 * 1024  # bytes of them all
RECEIVE_BYTES = 64 * 1024
CHECK_SECONDS = 0.5

_TIMEVAL = struct.pack("ll", SOCKET_TIMEOUT, 0)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSALS = {
    408: (b"Request Timeout", b"The request did not arrive in time.\n"),
    413: (b"Content Too Large", b"The request is too long.\n"),
    431: (b"Request Header Fields Too Large", b"The head of the request is too long.\n"),
    503: (b"Service Unavailable", b"Too many requests are arriving at the same time.\n"),
}
_REFUSAL = (
    b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)


class Arrival:
    """A connection whose next request is arriving."""

    def __init__(self, connection: Any):
        self.connection = connection
        self.started_at = time.monotonic()
        self.buffer = RequestBuffer()
        self.is_polled = False

    def is_late(self, now: float, max_seconds: float) -> bool:
        """Return True if the request has taken longer than its size explains."""
        return now > self.started_at + max_seconds + self.buffer.received / MIN_RATE


class BufferingWorker(ThreadWorker):
    """A threaded worker whose threads never wait for a request.

    Everything here runs in the main thread. With TLS by gunicorn itself, requests are read by the
    threads, as gunicorn does it.
    """

    max_seconds = MAX_SECONDS

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._arrivals: dict[Any, Arrival] = {}  # by connection, the oldest first
        self._buffered = 0  # bytes
        self._checked_at = 0.0

    def enqueue_req(self, conn):
        """Collect the next request of a connection, and then submit it to a thread."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
            conn.init()
        conn.sock.setblocking(False)
        arrival = Arrival(conn)
        self._arrivals[conn] = arrival
        pipelined = conn.parser.unreader.take_buffered()
        if pipelined:
            self._feed(arrival, pipelined)
        else:
            self._receive(arrival)
        if conn in self._arrivals and not arrival.is_polled:
            self.poller.register(
                conn.sock, selectors.EVENT_READ, lambda _sock: self._receive(arrival)
            )
            arrival.is_polled = True

    def murder_pending(self):
        """Refuse the clients that are too slow; gunicorn calls this once in a second or more."""
        super().murder_pending()
        now = time.monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        max_seconds = self.max_seconds if self.alive else STOP_SECONDS
        for arrival in list(self._arrivals.values()):
            if arrival.is_late(now, max_seconds):
                self._refuse(arrival, 408)

    def _receive(self, arrival: Arrival) -> None:
        if arrival.connection not in self._arrivals:  # refused since the poller reported it
            return
        try:
            data = arrival.connection.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._feed(arrival, data)
        else:
            self._drop(arrival)

    def _feed(self, arrival: Arrival, data: bytes) -> None:
        buffer = arrival.buffer
        before = len(buffer)
        buffer.feed(data)
        self._buffered += len(buffer) - before
        if buffer.refused_with:
            self._refuse(arrival, buffer.refused_with)
        elif buffer.is_complete:
            self._submit(arrival)
        elif buffer.wants_continue:
            buffer.wants_continue = False
            with contextlib.suppress(OSError):
                arrival.connection.sock.send(_CONTINUE)
        while self._buffered > MAX_BUFFERED or len(self._arrivals) > MAX_RECEIVING:
            self._refuse(next(iter(self._arrivals.values())), 503)

    def _submit(self, arrival: Arrival) -> None:
        self._forget(arrival)
        connection = arrival.connection
        connection.parser.unreader.unread(arrival.buffer.take())
        connection.data_ready = True
        super().enqueue_req(connection)

    def _refuse(self, arrival: Arrival, status: int) -> None:
        """Answer, if a request has begun, and close the connection."""
        if arrival.buffer.received:
            reason, text = _REFUSALS[status]
            with contextlib.suppress(OSError):
                arrival.connection.sock.send(_REFUSAL % (status, reason, len(text), text))
        self._drop(arrival)

    def _drop(self, arrival: Arrival) -> None:
        self._forget(arrival)
        self.nr_conns -= 1
        arrival.connection.close()

    def _forget(self, arrival: Arrival) -> None:
        if arrival.is_polled:
            self.poller.unregister(arrival.connection.sock)
        del self._arrivals[arrival.connection]
        self._buffered -= len(arrival.buffer)
