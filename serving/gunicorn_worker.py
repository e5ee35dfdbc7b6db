"""gunicorn's threaded worker, which gives a thread to complete requests only.

gunicorn reads a request in one of its few threads, for as long as the client takes. Here the main
loop collects the bytes of all clients, and a client that is too slow is refused. Responses are
sent by the threads: a client that does not read one gets no other, and after some seconds it loses
its connection. At the end of a connection, gunicorn's main loop would wait for the client. A view
can leave a connection without its response (`held_connections`).
"""

import contextlib
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http import get_parser
from gunicorn.workers.gthread import ThreadWorker

from serving.held_connections import HOLD, Ending, HeldConnections
from serving.request_buffer import RequestBuffer

MAX_SECONDS = 10.0  # for the head of a request, and for a body without the time below
MIN_RATE = 16 * 1024  # bytes in a second
STOP_SECONDS = 2.0  # for a request that is arriving when this process is stopped
SEND_TIMEOUT = 10  # seconds in which a client reads nothing
MAX_RECEIVING = 400  # requests that are arriving; above this, the oldest are refused
MAX_BUFFERED = 128 * 1024 * 1024  # bytes of them all
RECEIVE_BYTES = 64 * 1024
LINGER_SECONDS = 2.0  # for a client to read its last response and to close its connection
MAX_LINGERING = 100  # connections; above this, the oldest are closed
CHECK_SECONDS = 0.5

_TIMEVAL = struct.pack("ll", SEND_TIMEOUT, 0)
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


class ArrivedBytes:
    """Stands in for the socket of gunicorn's parser, which so never waits for a client."""

    def __init__(self) -> None:
        self._data = memoryview(b"")

    def put(self, data: bytes) -> None:
        """Set the bytes to read."""
        self._data = memoryview(data)

    def recv(self, size: int) -> bytes:
        """Return at most `size` bytes; without any left, the client has closed its side."""
        piece = bytes(self._data[:size])
        self._data = self._data[size:]
        return piece


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
    wsgi: Any
    _held: HeldConnections

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._arrivals: dict[Any, Arrival] = {}  # by connection, the oldest first
        self._buffered = 0  # bytes
        self._lingering: dict[Any, float] = {}  # when to close a connection, the oldest first
        self._checked_at = 0.0
        self._endings: dict[Any, Ending] = {}  # by socket, of the requests that are being handled

    def load_wsgi(self):
        """Load the app, and let it hold connections."""
        super().load_wsgi()
        self._held = HeldConnections(self.poller, self._close, self._linger)
        app = self.wsgi

        def call(environ, start_response):
            if self.cfg.is_ssl:
                return app(environ, start_response)
            sock = environ["gunicorn.socket"]
            environ[HOLD] = lambda ending: self._endings.update({sock: ending})
            response = app(environ, start_response)
            if sock in self._endings:
                response.close()
                raise StopIteration  # gunicorn sends no response
            return response

        self.wsgi = call

    def enqueue_req(self, conn):
        """Collect the next request of a connection, and then submit it to a thread."""
        if self.cfg.is_ssl:
            conn.pipelined = b""
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)
            conn.arrived = ArrivedBytes()
            conn.pipelined = b""
            conn.parser = get_parser(self.cfg, conn.arrived, conn.client)
            conn.init()
        conn.sock.setblocking(False)
        arrival = Arrival(conn)
        self._arrivals[conn] = arrival
        if conn.pipelined:
            self._feed(arrival, conn.pipelined)
        else:
            self._receive(arrival)
        if conn in self._arrivals and not arrival.is_polled:
            self._poll(arrival, selectors.EVENT_READ, self._receive)

    def finish_request(self, conn, fs):
        """Keep the connection for the next request, or end it without waiting for the client."""
        ending = self._endings.pop(conn.sock, None)
        if ending:
            self._held.hold(conn, ending)
            return
        is_kept = fs.cancelled() or fs.exception() or fs.result()
        if not is_kept and not self.cfg.is_ssl:
            self._linger(conn)
            return
        super().finish_request(conn, fs)
        if conn.pipelined and conn in self.keepalived_conns:
            self.on_client_socket_readable(conn, conn.sock)

    def murder_pending(self):
        """Refuse the clients that are too slow; gunicorn calls this once in a second or more."""
        super().murder_pending()
        now = time.monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        self._held.end_due(is_stopping=not self.alive)
        max_seconds = self.max_seconds if self.alive else STOP_SECONDS
        for arrival in list(self._arrivals.values()):
            if arrival.is_late(now, max_seconds):
                self._refuse(arrival, 408)
        for connection, until in list(self._lingering.items()):
            if now > until:
                self._end(connection)

    def _poll(self, arrival: Arrival, events: int, callback: Callable[[Arrival], None]) -> None:
        change = self.poller.modify if arrival.is_polled else self.poller.register
        change(arrival.connection.sock, events, lambda _sock: callback(arrival))
        arrival.is_polled = True

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
        connection = arrival.connection
        if connection not in self._arrivals:  # refused since the poller reported it
            return
        # The thread would wait for a client that has not read its earlier responses.
        if connection.data_ready and not _has_room(connection.sock):
            self._poll(arrival, selectors.EVENT_WRITE, self._submit)
            return
        self._forget(arrival)
        request, connection.pipelined = arrival.buffer.take()
        connection.arrived.put(request)
        connection.data_ready = True
        super().enqueue_req(connection)

    def _refuse(self, arrival: Arrival, status: int) -> None:
        """Answer, if a request has begun, and end the connection."""
        if not arrival.buffer.received:
            self._drop(arrival)
            return
        reason, text = _REFUSALS[status]
        with contextlib.suppress(OSError):
            arrival.connection.sock.send(_REFUSAL % (status, reason, len(text), text))
        self._forget(arrival)
        self._linger(arrival.connection)

    def _drop(self, arrival: Arrival) -> None:
        self._forget(arrival)
        self._close(arrival.connection)

    def _forget(self, arrival: Arrival) -> None:
        if arrival.is_polled:
            self.poller.unregister(arrival.connection.sock)
        del self._arrivals[arrival.connection]
        self._buffered -= len(arrival.buffer)

    def _linger(self, connection: Any) -> None:
        """Close a connection when the client has closed it, or after some time.

        Closed at once, it would be reset if the client is still sending, and the client might
        never read its response (RFC 9112 section 9.6).
        """
        try:
            connection.sock.shutdown(socket.SHUT_WR)
            connection.sock.setblocking(False)
        except OSError:
            self._close(connection)
            return
        self._lingering[connection] = time.monotonic() + LINGER_SECONDS
        self.poller.register(
            connection.sock, selectors.EVENT_READ, lambda _sock: self._discard(connection)
        )
        if len(self._lingering) > MAX_LINGERING:
            self._end(next(iter(self._lingering)))

    def _discard(self, connection: Any) -> None:
        if connection not in self._lingering:  # ended since the poller reported it
            return
        try:
            if connection.sock.recv(RECEIVE_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end(connection)

    def _end(self, connection: Any) -> None:
        del self._lingering[connection]
        self.poller.unregister(connection.sock)
        self._close(connection)

    def _close(self, connection: Any) -> None:
        self.nr_conns -= 1
        connection.close()


def _has_room(sock: socket.socket) -> bool:
    """Return True if the client has read so much that a usual response fits in the buffer."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))
