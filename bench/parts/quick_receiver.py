"""Receiver in a separate process that responds immediately, keeps connections and times itself.

`GET /times` returns the microseconds of every exchange since the previous such request.
"""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.request import urlopen

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
THREADS = 32
MAX_LIFETIME = 300  # seconds

# A client that has its response finds the duration of that exchange in the times.
_times_lock = threading.Lock()


@contextlib.contextmanager
def receiving():
    """Start the receiver, yield its port, and stop it afterwards."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def times(port: int) -> list[int]:
    """Return the receiver's microseconds of each exchange since the previous call."""
    with urlopen(f"http://127.0.0.1:{port}/times", timeout=5) as response:
        return json.load(response)


def main() -> None:
    signal.alarm(MAX_LIFETIME)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    durations: list[int] = []
    for _ in range(THREADS):
        threading.Thread(target=_serve, args=(listener, durations), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    signal.pause()


def _serve(listener: socket.socket, durations: list[int]) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                _respond(connection, data, durations)


def _respond(connection: socket.socket, data: bytes, durations: list[int]) -> None:
    """Handle one exchange; its duration starts with the first received byte."""
    start = time.perf_counter_ns()
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if head.startswith(b"GET /times "):
        _send_times(connection, durations)
        return
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(connection.recv(65536))
    with _times_lock:
        connection.sendall(RESPONSE)
        durations.append((time.perf_counter_ns() - start) // 1000)


def _send_times(connection: socket.socket, durations: list[int]) -> None:
    with _times_lock:
        body = json.dumps(durations).encode()
        durations.clear()
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


if __name__ == "__main__":
    main()
