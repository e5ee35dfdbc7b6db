"""How fast alerts come in, each committed with `synchronous=FULL` before it is acknowledged: one a post, and fifty a post.

Three paused channels want every alert, so that three deliveries are stored for each and none is sent meanwhile. Beside it, how
often this disk commits at all, and each with web processes pinned to cores and not. `ingest.py 20 16` measures 20 seconds with
16 senders.
"""

import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from parts.figures import figure, percentile
from parts.tocsin import Browser, running

SECONDS, SENDERS, CHANNELS, MANY = 6.0, 16, 3, 50
URL = "https://hooks.example.com/services/t0ken"


def main(seconds: float = SECONDS, senders: float = SENDERS) -> None:
    for pinned in ("1", "0"):
        print(f"TOCSIN_PIN_CORES={pinned}")
        measure(seconds, int(senders), pinned)


def measure(seconds: float, senders: int, pinned: str) -> None:
    """Prints the figures of one server."""
    with running(TOCSIN_PIN_CORES=pinned) as live:
        browser = Browser(live.port)
        for number in range(CHANNELS):
            channel = browser.create_channel(URL, name=f"Channel {number}")
            browser.post(f"/channels/{channel}/pause", expect=303)
        token = re.search(
            "tocsin_[A-Za-z0-9_-]{43}",
            browser.post("/tokens", {"name": "bench", "scope": "ingest"}),
        )[0]
        for alerts, target in ((1, 1500), (MANY, 10_000)):
            figure("fsyncs of 4 KB on this disk", fsyncs(live.folder), "a second", places=0)
            posts = load(live.port, token, alerts, seconds, senders)
            words = f"alerts in posts of {alerts}, {senders} senders"
            figure(words, len(posts) * alerts / seconds, "a second", target, places=0, least=True)
            figure(f"{words}: p50 of a post", percentile(posts, 50), "ms")
            figure(f"{words}: p95 of a post", percentile(posts, 95), "ms")


def fsyncs(folder: Path) -> float:
    """How often a second this disk takes a page of a file to the plate, one after another."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < 1:
            file.seek(0)
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            done += 1
    return done


def load(port: int, token: str, alerts: int, seconds: float, senders: int) -> list[float]:
    """The milliseconds of every post that was answered in this time; each sender is a process with a kept connection."""
    context = multiprocessing.get_context("fork")
    results, begin = context.Queue(), context.Barrier(senders)
    work = [
        context.Process(target=send, args=(port, token, alerts, seconds, one, begin, results))
        for one in range(senders)
    ]
    for process in work:
        process.start()
    took = [milliseconds for _ in work for milliseconds in results.get()]
    for process in work:
        process.join()
    return took


def send(port: int, token: str, alerts: int, seconds: float, number: int, begin, results) -> None:
    """One sender: new alerts all the time."""
    took, ids = [], count()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin.wait()
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.sendall(
                post(token, [alert(f"{alerts}-{number}-{next(ids)}") for _ in range(alerts)])
            )
            answer_of(connection)
            took.append((time.perf_counter() - began) * 1000)
    results.put(took)


def alert(name: str) -> dict:
    """One as Prometheus would describe it, some 400 bytes."""
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


def post(token: str, alerts: list[dict]) -> bytes:
    body = json.dumps(alerts[0] if len(alerts) == 1 else alerts).encode()
    head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + body


def answer_of(connection: socket.socket) -> None:
    """Reads one answer to its end; anything but 202 ends the measurement."""
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
