"""Cheap receiver in a separate process that counts deliveries, and when each arrived.

One thread serves all connections with epoll. A delivery is known by the path of its request and
by the first `bench-alert-<number>` in its body. It responds at once, or after a number of seconds.
`Sink` is the benchmark's side.
"""

import contextlib
import json
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple
from urllib.request import urlopen

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
MAX_LIFETIME = 3000  # seconds
POLL_SECONDS = 0.05
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
_NUMBER = re.compile(rb"bench-alert-(\d+)")


class Count(NamedTuple):
    """What a sink has received since its last reset."""

    requests: int
    distinct: int
    last_ns: int  # CLOCK_MONOTONIC, which all processes share


class Sink:
    """A running sink."""

    def __init__(self, port: int, pid: int):
        self.port = port
        self.pid = pid

    def url(self, channel: int) -> str:
        """Return the URL of a channel, with a path that is long enough to be a secret."""
        return f"http://127.0.0.1:{self.port}/hooks/t0ken-of-the-path/{channel}"

    def reset(self) -> None:
        """Forget all deliveries."""
        self._get("/reset")

    def count(self) -> Count:
        """Return how much has arrived."""
        return Count(*self._get("/count"))

    def arrivals(self) -> dict[str, int]:
        """Return the time of each delivery by `path number`, in nanoseconds."""
        return self._get("/arrivals")

    def most_arrivals(self) -> int:
        """Return how often the delivery arrived that was repeated most often."""
        return self._get("/most")

    def wait_for(self, distinct: int, seconds: float) -> Count:
        """Wait until so many deliveries have arrived.

        Raises:
            AssertionError: They have not after some seconds.
        """
        deadline = time.monotonic() + seconds
        count = self.count()
        while count.distinct < distinct:
            assert time.monotonic() < deadline, f"{count} of {distinct} within {seconds:.0f} s"
            time.sleep(POLL_SECONDS)
            count = self.count()
        return count

    def _get(self, path: str):
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return json.load(response)


@contextlib.contextmanager
def receiving(delay: float = 0.0) -> Iterator[Sink]:
    """Start a sink that responds after `delay` seconds, yield it, and stop it afterwards."""
    command = [sys.executable, __file__, str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Sink(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.communicate()


class _Server:
    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._delayed: deque[tuple[float, socket.socket]] = deque()  # when to respond, and to whom
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._connections: dict[int, socket.socket] = {}
        self._unread: dict[int, bytes] = {}  # the beginnings of requests
        self._epoll = select.epoll()
        self._reset()

    def serve(self) -> None:
        listener = self.listener.fileno()
        self._epoll.register(listener, select.EPOLLIN)
        while True:
            for number, _ in self._epoll.poll(self._wait()):
                if number == listener:
                    self._accept()
                else:
                    self._read(number)

    def _wait(self) -> float | None:
        """Send the responses that are due; return the seconds until the next one, if any."""
        while self._delayed:
            wait = self._delayed[0][0] - time.monotonic()
            if wait > 0:
                return wait
            self._respond(self._delayed.popleft()[1])
        return None

    def _respond(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client may have been killed
            connection.send(RESPONSE)

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, number: int) -> None:
        connection = self._connections[number]
        try:
            data = connection.recv(262144)
        except OSError:
            data = b""
        if not data:
            self._unread.pop(number, None)
            del self._connections[number]
            connection.close()
            return
        if number in self._unread:
            data = self._unread.pop(number) + data
        while data:
            rest = self._handle(connection, data)
            if rest is None:
                self._unread[number] = data
                return
            data = rest

    def _handle(self, connection: socket.socket, data: bytes) -> bytes | None:
        """Handle the first request of the data; return the rest, or None if it is not whole."""
        end_of_head = data.find(b"\r\n\r\n")
        if end_of_head < 0:
            return None
        length = _LENGTH.search(data, 0, end_of_head)
        end = end_of_head + 4 + (int(length[1]) if length else 0)
        if len(data) < end:
            return None
        if data.startswith(b"GET "):
            self._answer(connection, data[4 : data.index(b" ", 4)])
        else:
            self._count(data, end_of_head, end)
            if self._delay:
                self._delayed.append((time.monotonic() + self._delay, connection))
            else:
                self._respond(connection)
        return data[end:]

    def _count(self, data: bytes, start: int, end: int) -> None:
        self.requests += 1
        found = _NUMBER.search(data, start, end)
        key = data[data.index(b"/") : data.index(b" ", 6)] + b" " + (found[1] if found else b"")
        self.last_ns = time.monotonic_ns()
        if key in self.arrived:
            self.repeats[key] += 1
        else:
            self.arrived[key] = self.last_ns

    def _answer(self, connection: socket.socket, path: bytes) -> None:
        if path == b"/reset":
            self._reset()
        values: object = [self.requests, len(self.arrived), self.last_ns]
        if path == b"/arrivals":
            values = {key.decode("latin-1"): at for key, at in self.arrived.items()}
        if path == b"/most":
            values = 1 + max(self.repeats.values(), default=0)
        body = json.dumps(values).encode()
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.setblocking(True)
        connection.sendall(head.encode() + body)

    def _reset(self) -> None:
        self.requests = 0
        self.last_ns = 0
        self.arrived: dict[bytes, int] = {}
        self.repeats: Counter[bytes] = Counter()


def main(delay: str) -> None:
    signal.alarm(MAX_LIFETIME)
    server = _Server(float(delay))
    print(server.listener.getsockname()[1], flush=True)
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
