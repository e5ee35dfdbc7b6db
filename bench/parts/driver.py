"""Process that brings alerts into a system: posts them, sends them itself, or enqueues them.

It reads commands from its standard input: `<first> <count> <rate>` prepares alerts and answers
`ready`; `go` brings them in, `rate` a second (0: as fast as possible), and answers with the time of
the first one in nanoseconds. `Driver` is the benchmark's side. The messages that `loop` and the
task queues send have the size of Tocsin's.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

CONNECTIONS = 4  # of a poster
MESSAGE_BYTES = 600
BATCH = 50  # alerts in a request of a poster
TIMEOUT = 5
TOKEN = "glsa_8Jw2bYx0QmT5vNfKcR3pLzHs7EuDgA1o"
MAX_LIFETIME = 3000  # seconds

Send = Callable[[], None]
Step = tuple[float, Send]  # seconds after the beginning, and what to do then


def alert(number: int) -> dict:
    """Return labels and annotations of an alert like one of Prometheus, of about 400 bytes."""
    labels = {
        "alertname": f"bench-alert-{number}",
        "instance": f"db-{number}:9100",
        "severity": "warning",
        "team": "database",
    }
    annotations = {
        "summary": f"/var on db-{number} is 93 % full",
        "runbook_url": "https://wiki.example.com/runbooks/disk",
    }
    return {"labels": labels, "annotations": annotations}


def message(number: int) -> bytes:
    """Return a message about an alert, which is as long as Tocsin's."""
    content = {"eventName": "created", "alert": alert(number), "padding": ""}
    content["padding"] = "x" * (MESSAGE_BYTES - len(json.dumps(content)))
    return json.dumps(content).encode()


class Driver:
    """A driver in a process of its own."""

    def __init__(self, *arguments: str, **environment: str):
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.pid = self._process.pid

    def prepare(self, first: int, count: int, rate: float = 0) -> None:
        """Prepare `count` alerts from the number `first` on."""
        assert self._ask(f"{first} {count} {rate}") == "ready"

    def go(self) -> int:
        """Bring the prepared alerts in; return when the first was due, in nanoseconds."""
        return int(self._ask("go"))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, command: str) -> str:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the driver has failed: see its traceback"
        return answer


def posting(port: str, path: str, token: str) -> Callable[..., list[list[Step]]]:
    """Return how alerts are posted, with several connections at the same time."""
    connections: list[socket.socket] = []
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""

    def prepare(first: int, count: int, rate: float) -> list[list[Step]]:
        connect(connections, int(port))
        threads: list[list[Step]] = [[] for _ in connections]
        size = 1 if rate else BATCH
        for place, start in enumerate(range(0, count, size)):
            numbers = range(first + start, first + min(count, start + size))
            body = json.dumps([alert(number) for number in numbers]).encode()
            request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            thread = place % CONNECTIONS
            due = place / rate if rate else 0.0
            threads[thread].append((due, lambda c=connections[thread], r=request: post(c, r)))
        return threads

    return prepare


def connect(connections: list[socket.socket], port: int) -> None:
    """Replace connections with new ones, because a server ends those that were idle."""
    while connections:
        connections.pop().close()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)


def post(connection: socket.socket, request: bytes) -> None:
    """Send a request, and read its response.

    Raises:
        AssertionError: It is no success, or not whole.
    """
    connection.sendall(request)
    data = receive(connection)
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")), data[:400]
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += receive(connection)


def receive(connection: socket.socket) -> bytes:
    """Return the next bytes of a response.

    Raises:
        AssertionError: The server has ended the connection.
    """
    data = connection.recv(65536)
    assert data, "the connection ended before the response"
    return data


def looping(*urls: str) -> Callable[..., list[list[Step]]]:
    """Return the loop of `requests.Session.post`: one session, one thread, nothing stored."""
    import requests

    session = requests.Session()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}

    def send(url: str, body: bytes) -> None:
        session.post(url, data=body, headers=headers, timeout=TIMEOUT).raise_for_status()

    return _each(urls, send)


def enqueuing(*urls: str) -> Callable[..., list[list[Step]]]:
    """Return the enqueuing of one task of huey for each delivery."""
    from parts.tasks import deliver

    return _each(urls, lambda url, body: deliver(url, body.decode()))


def _each(urls: Iterable[str], send: Callable) -> Callable[..., list[list[Step]]]:
    def prepare(first: int, count: int, _rate: float) -> list[list[Step]]:
        steps = []
        for number in range(first, first + count):
            body = message(number)
            steps += [(0.0, lambda u=url, b=body: send(u, b)) for url in urls]
        return [steps]

    return prepare


def run(steps: list[Step], begin: float) -> None:
    """Take every step when it is due."""
    for due, step in steps:
        delay = begin + due - time.monotonic()
        if due and delay > 0:
            time.sleep(delay)
        step()


def end_process(failure: threading.ExceptHookArgs) -> None:
    """End the process when a thread fails: what it would report is wrong."""
    sys.__excepthook__(failure.exc_type, failure.exc_value, failure.exc_traceback)
    os._exit(1)


def main(how: str, *arguments: str) -> None:
    signal.alarm(MAX_LIFETIME)
    threading.excepthook = end_process
    prepare = {"post": posting, "loop": looping, "enqueue": enqueuing}[how](*arguments)
    for line in sys.stdin:
        first, count, rate = line.split()
        work = prepare(int(first), int(count), float(rate))
        print("ready", flush=True)
        sys.stdin.readline()
        begin = time.monotonic_ns()
        threads = [threading.Thread(target=run, args=(steps, begin / 1e9)) for steps in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(begin, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
