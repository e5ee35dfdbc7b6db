"""A real receiver on the loopback that does what a test tells it: answers, hangs, drips, breaks off, speaks nonsense."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Listens on a free port of 127.0.0.1 until `close`. `requests` holds what came; `script` gets each connection."""

    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self):
        self.script = reply()
        self.stopped = threading.Event()
        self.arrived = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """An address of this receiver whose path is long enough to be a secret."""
        return f"http://127.0.0.1:{self.port}/hooks/t0ken-of-the-path"

    def wait_for(self, count: int, seconds: float = 5.0) -> list[Received]:
        """The requests, once there are `count`; what came until then when it takes longer than `seconds`."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.requests) >= count, seconds)
        return self.requests

    def close(self):
        """Ends every script that waits, and every thread."""
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
            request = read_request(connection)
            if request is None:
                return
            with self.arrived:
                self.requests.append(request)
                self.arrived.notify_all()
            self.script(self, connection)


def read_request(connection) -> Received | None:
    """Reads one request to the end of its body; None when the other side leaves before that."""
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
    """A script that answers properly. Header names are given with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def raw(data: bytes):
    """A script that sends exactly these bytes and closes."""

    def script(_receiver, connection):
        connection.sendall(data)

    return script


def one_after_another(*scripts):
    """A script for each connection in turn; the last one serves all that follow."""
    waiting = list(scripts)

    def script(receiver, connection):
        now = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        now(receiver, connection)

    return script


def silence(receiver, _connection):
    """A script that never answers."""
    receiver.stopped.wait()


def drip(beginning: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", every: float = 0.1):
    """A script that sends the beginning and then a byte at a time for ever."""

    def script(receiver, connection):
        connection.sendall(beginning)
        while not receiver.stopped.wait(every):
            connection.sendall(b"x")

    return script


def after(event: threading.Event, script):
    """A script that waits for the event before it does another."""

    def waiting(receiver, connection):
        while not event.wait(0.02):
            if receiver.stopped.is_set():
                return
        script(receiver, connection)

    return waiting
