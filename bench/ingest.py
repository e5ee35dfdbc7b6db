"""Rate at which alerts are received, with 1 and 50 alerts in each request.

Each alert is committed with `synchronous=FULL` before it is acknowledged. Three paused channels
match every alert, so that three deliveries are stored for each and none is sent. The rate at
which the disk commits is printed for comparison. Both are measured with and without web processes
pinned to CPU cores. `ingest.py 20 16` measures for 20 seconds with 16 senders.
"""

import itertools
import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

from parts.figures import figure, percentile
from parts.tocsin import Browser, running

SECONDS = 6.0
SENDERS = 16
CHANNELS = 3
ALERTS_PER_REQUEST = 50
URL = "https://hooks.example.com/services/t0ken"


def main(seconds: float = SECONDS, senders: float = SENDERS) -> None:
    for pinned in ("1", "0"):
        print(f"TOCSIN_PIN_CORES={pinned}")
        measure(seconds, int(senders), pinned)


def measure(seconds: float, senders: int, pinned: str) -> None:
    """Print the figures of one server."""
    with running(TOCSIN_PIN_CORES=pinned) as live:
        browser = Browser(live.port)
        for number in range(CHANNELS):
            channel = browser.create_channel(URL, name=f"Channel {number}")
            browser.post(f"/channels/{channel}/pause", expect=303)
        page = browser.post("/tokens", {"name": "bench", "scope": "ingest"})
        token = re.search("tocsin_[A-Za-z0-9_-]{43}", page)[0]
        for alerts, target in ((1, 1500), (ALERTS_PER_REQUEST, 10_000)):
            figure("fsyncs of 4 KB on this disk", fsyncs(live.folder), "a second", places=0)
            posts = load(live.port, token, alerts, seconds, senders)
            name = f"alerts in requests of {alerts}, {senders} senders"
            rate = len(posts) * alerts / seconds
            figure(name, rate, "a second", target, places=0, at_least=True)
            figure(f"{name}: p50 of a request", percentile(posts, 50), "ms")
            figure(f"{name}: p95 of a request", percentile(posts, 95), "ms")


def fsyncs(folder: Path) -> float:
    """Return how many pages of 4 KB the disk syncs in a second, one after another."""
    with tempfile.TemporaryFile(dir=folder) as file:
        count = 0
        end = time.perf_counter() + 1
        while time.perf_counter() < end:
            file.seek(0)
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return count


def load(port: int, token: str, alerts: int, seconds: float, senders: int) -> list[float]:
    """Return the milliseconds of every request.

    Each sender is a process with a kept connection.
    """
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    barrier = context.Barrier(senders)
    processes = []
    for number in range(senders):
        arguments = (port, token, alerts, seconds, number, barrier, results)
        processes.append(context.Process(target=send, args=arguments))
    for process in processes:
        process.start()
    durations = [duration for _ in processes for duration in results.get()]
    for process in processes:
        process.join()
    return durations


def send(port: int, token: str, alerts: int, seconds: float, number: int, barrier, results) -> None:
    """Send new alerts until the time is over, and put the durations on the queue."""
    durations = []
    ids = itertools.count()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        barrier.wait()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            batch = [alert(f"{alerts}-{number}-{next(ids)}") for _ in range(alerts)]
            connection.sendall(request(token, batch))
            read_response(connection)
            durations.append((time.perf_counter() - start) * 1000)
    results.put(durations)


def alert(name: str) -> dict:
    """Return an alert like one of Prometheus, of about 400 bytes."""
    labels = {
        "alertname": "DiskAlmostFull",
        "instance": f"db-{name}:9100",
        "severity": "warning",
        "team": "database",
    }
    annotations = {
        "summary": f"/var on db-{name} is 93 % full",
        "runbook_url": "https://wiki.example.com/runbooks/disk",
    }
    return {
        "name": "DiskAlmostFull",
        "status": "open",
        "labels": labels,
        "annotations": annotations,
        "url": URL,
    }


def request(token: str, alerts: list[dict]) -> bytes:
    """Return the bytes of a request."""
    body = json.dumps(alerts[0] if len(alerts) == 1 else alerts).encode()
    head = (
        "POST /api/v1/alerts HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def read_response(connection: socket.socket) -> None:
    """Read a whole response.

    Raises:
        AssertionError: the status is not 202.
    """
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202"):
        raise AssertionError(data[:400])
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
