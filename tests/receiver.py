"""A real receiver on the loopback, and the scripts that tests give it."""

import contextlib
import os
import socket
import ssl
import struct
import threading
import zlib
from dataclasses import dataclass, field


@dataclass
class Received:
    """A request as received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server on a free port of 127.0.0.1, open until `close`.

    `requests` holds the received requests; `script` gets each connection. With a context the
    receiver uses TLS. `skips` leaves a step to the script: reading the "request", or the
    "handshake" too.
    """

    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    skips: str = ""

    def __post_init__(self):
        self.script = reply()
        self.stopped = threading.Event()
        self.arrived = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        if self.skips:  # A small buffer, so that a large request does not fit in it.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """A URL of this receiver whose path is long enough to be a secret."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hooks/t0ken-of-the-path"

    def wait_for(self, count: int, seconds: float = 5.0) -> list[Received]:
        """Return the requests once there are `count`, or after `seconds`."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.requests) >= count, seconds)
        return self.requests

    def close(self):
        """Stop every waiting script and every thread."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while not self.stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(10)
            if self.tls and self.skips != "handshake":
                with self.tls.wrap_socket(connection, server_side=True) as secure:
                    self._perform(secure)
            else:
                self._perform(connection)

    def _perform(self, connection):
        if not self.skips:
            request = read_request(connection)
            if request is None:
                return
            with self.arrived:
                self.requests.append(request)
                self.arrived.notify_all()
        self.script(self, connection)


def read_request(connection) -> Received | None:
    """Read a request with its body; return None if the client closes before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers.get("Content-Length", 0)):
        body += connection.recv(65536)
    method, path, _ = first.split(" ", 2)
    return Received(method, path, headers, body)


def reply(status: int = 200, body: bytes = b"", **headers: str):
    """Return a script that sends a valid response. Header names have underscores for hyphens."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def raw(data):
    """Return a script that sends exactly these bytes and closes.

    Large data is a function that returns the bytes.
    """

    def script(_receiver, connection):
        connection.sendall(data() if callable(data) else data)

    return script


def one_after_another(*scripts):
    """Return a script that uses one script for each connection, and the last one from then on."""
    remaining = list(scripts)

    def script(receiver, connection):
        current = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        current(receiver, connection)

    return script


def silence(receiver, _connection):
    """Never respond."""
    receiver.stopped.wait()


def drip(
    beginning: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    every: float = 0.1,
    piece: bytes = b"x",
):
    """Return a script that sends the beginning and then a piece at a time forever."""

    def script(receiver, connection):
        connection.sendall(beginning)
        while not receiver.stopped.wait(every):
            connection.sendall(piece)

    return script


def after(event: threading.Event, script):
    """Return a script that waits for the event before it runs another script."""

    def waiting(receiver, connection):
        while not event.wait(0.02):
            if receiver.stopped.is_set():
                return
        script(receiver, connection)

    return waiting


def http(status: str, *lines: str, body: bytes = b"") -> bytes:
    """Return the bytes of a response; nothing is added to the lines."""
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode("latin-1") + body


def stall(data: bytes = b""):
    """Return a script that sends these bytes and keeps the connection open."""

    def script(receiver, connection):
        connection.sendall(data)
        receiver.stopped.wait()

    return script


def reset(data: bytes = b""):
    """Return a script that sends these bytes and then RST instead of FIN."""

    def script(receiver, connection):
        # An RST before the first byte may meet a client that is still connecting.
        if receiver.skips:
            connection.recv(1)
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def half_close(data: bytes = b""):
    """Return a script that sends these bytes and a FIN, and reads until the client closes."""

    def script(_receiver, connection):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return script


def flood(beginning: bytes, piece: bytes):
    """Send the beginning, then the piece until 64 MB are sent or the client closes."""
    block = piece * max(1, 65536 // len(piece))

    def script(_receiver, connection):
        connection.sendall(beginning)
        for _ in range(64_000_000 // len(block)):
            connection.sendall(block)

    return script


def upon_hello(data: bytes):
    """Return a script that reads the TLS ClientHello and responds with these bytes."""

    def script(_receiver, connection):
        connection.recv(65536)
        connection.sendall(data)

    return script


def distrusted_then(script):
    """Return a script that does a TLS handshake first, and runs another script from then on."""

    def by_turns(receiver, connection):
        if receiver.connections > 1:
            script(receiver, connection)
        else:
            receiver.tls.wrap_socket(connection, server_side=True)

    return by_turns


def under_tls(data: bytes, then: bytes):
    """Return a script that responds within TLS, and then writes in the clear."""

    def script(_receiver, connection):
        connection.sendall(data)
        os.write(connection.fileno(), then)

    return script


def bomb(megabytes: int, header: str, *, wbits: int = 31, status: str = "200 OK"):
    """Return a script that responds with zeros, compressed to a thousandth."""

    def data():
        packer = zlib.compressobj(1, zlib.DEFLATED, wbits)
        million = bytes(1_000_000)
        body = b"".join(packer.compress(million) for _ in range(megabytes)) + packer.flush()
        return http(
            status, f"Content-Length: {len(body)}", f"Content-Encoding: {header}", body=body
        )

    return raw(data)
