"""A receiver in a process of its own that answers at once, keeps connections, and measures its own time for each exchange.

`GET /times` gives the microseconds of every exchange since the last such question.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.request import urlopen

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
THREADS = 32
LIFETIME = 300

# An answer and its time belong together: who asks for the times after an answer finds it among them.
_noting = threading.Lock()


@contextlib.contextmanager
def receiving():
    """Starts the receiver; gives its port, and ends it afterwards."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def times(port: int) -> list[int]:
    """The receiver's own microseconds of each exchange since the last question."""
    with urlopen(f"http://127.0.0.1:{port}/times", timeout=5) as answer:
        return json.load(answer)


def main() -> None:
    signal.alarm(LIFETIME)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    took: list[int] = []
    for _ in range(THREADS):
        threading.Thread(target=_serve, args=(listener, took), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    signal.pause()


def _serve(listener: socket.socket, took: list[int]) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                _answer(connection, data, took)


def _answer(connection: socket.socket, data: bytes, took: list[int]) -> None:
    """One exchange, its time counted from the first byte that came."""
    began = time.perf_counter_ns()
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if head.startswith(b"GET /times "):
        with _noting:
            text = json.dumps(took).encode()
            took.clear()
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            % (len(text), text)
        )
        return
    length = next(
        (
            int(line[15:])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))
    with _noting:
        connection.sendall(ANSWER)
        took.append((time.perf_counter_ns() - began) // 1000)


if __name__ == "__main__":
    main()
