"""Slow clients, tests that drip, and a stopped worker, all at once.

The clients never finish their request, drip it, never read, or never close their connection.
`/healthz` must stay quick, alerts must be accepted, and deliveries must go on once the worker has
been replaced.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from drip import run_concurrently
from parts.figures import figure, percentile, run_at_intervals, summary
from parts.tocsin import Browser, running
from processes import workers_of
from receiver import Receiver, drip

SLOW_CLIENTS = 200
START_INTERVAL = 0.02
TESTS = 30
TEST_TIMEOUT = 20
SECONDS = 45
INTERVAL = 0.05
RESUMED_WITHIN = 40
HEAD = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALF_BODY = HEAD + b"Content-Length: 1000\r\n\r\na=b"
HALF_CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\na=b"
GET = b"GET /static/site.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Behavior:
    """What a client sends at once and then every second, whether it reads, and when it leaves."""

    first: bytes
    then: bytes = b""
    reads: bool = True
    seconds: int = 20


BEHAVIORS = (
    Behavior(b"POST /lo"),
    Behavior(HEAD, then=b"a"),
    Behavior(HALF_BODY),
    Behavior(HALF_BODY, then=b"a"),
    Behavior(HALF_CHUNK, then=b"a"),
    Behavior(GET * 1000, reads=False),
    Behavior(b"GET /healthz HTTP/1.0\r\n\r\n", reads=False, seconds=2),
)


class SlowClients:
    """Clients that behave in each of the ways, and come back whenever they lose a connection."""

    def __init__(self, port: int):
        self.stop = threading.Event()
        self.connections = itertools.count()
        self._port = port
        self._threads = [
            threading.Thread(target=self._run, args=(BEHAVIORS[number % len(BEHAVIORS)], number))
            for number in range(SLOW_CLIENTS)
        ]

    def __enter__(self) -> "SlowClients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, behavior: Behavior, number: int) -> None:
        # Clients that never read want some thousand responses first: slow, and not a flood.
        self.stop.wait(number * START_INTERVAL)
        while not self.stop.is_set():
            with contextlib.suppress(OSError):
                self._connect(behavior)

    def _connect(self, behavior: Behavior) -> None:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.settimeout(1)
            connection.connect(("127.0.0.1", self._port))
            next(self.connections)
            connection.sendall(behavior.first)
            for _ in range(behavior.seconds):
                if not behavior.reads:
                    self.stop.wait(1)
                elif is_answered(connection):
                    return
                if self.stop.is_set():
                    return
                connection.sendall(behavior.then)


def is_answered(connection: socket.socket) -> bool:
    """Return True if the server answers or closes the connection within a second."""
    try:
        connection.recv(1000)
    except TimeoutError:
        return False
    return True


def main() -> None:
    dripping = Receiver()
    dripping.script = drip(every=1.0)
    arriving = Receiver()
    try:
        with running(TOCSIN_SENDERS="1") as live:
            browser = Browser(live.port)
            slow = browser.create_channel(
                dripping.url, name="Slow", timeout=str(TEST_TIMEOUT), matchers='none="of these"'
            )
            browser.create_channel(arriving.url, name="Quick")
            form = browser.form_of(slow)
            headers = live.create_token()
            measure(live, browser, f"/channels/{slow}/test", form, headers, arriving)
    finally:
        dripping.close()
        arriving.close()


def measure(live, browser, test_path, form, headers, arriving) -> None:
    """Print the figures of a server in trouble."""
    count = round(SECONDS / INTERVAL)
    ingest = Ingest(live.port, headers)
    tests = threading.Thread(
        target=run_concurrently, args=(browser, test_path, {**form, "timeout": "20"}, TESTS)
    )
    with SlowClients(live.port) as clients:
        time.sleep(SLOW_CLIENTS * START_INTERVAL)
        tests.start()
        [worker] = workers_of(live.process.pid)
        os.kill(worker, signal.SIGSTOP)
        stopped_at = time.monotonic()
        resumed = Resumed(arriving, stopped_at)
        alerts = threading.Thread(target=run_at_intervals, args=(ingest.post, INTERVAL, count))
        alerts.start()
        health = run_at_intervals(lambda: visit(live.port), INTERVAL, count)
        alerts.join()
        tests.join()
        seconds = resumed.wait()
    figure(f"/healthz p50 beside {SLOW_CLIENTS} slow clients", percentile(health, 50), "ms")
    figure(f"/healthz p99 beside {SLOW_CLIENTS} slow clients", percentile(health, 99), "ms", 250)
    print(f"  {summary(health)}; the slow clients opened {next(clients.connections)} connections")
    figure("alerts accepted", ingest.accepted, "alerts", count, places=0, at_least=True)
    figure("ingest p99", percentile(ingest.milliseconds, 99), "ms")
    figure("deliveries resumed after the worker was stopped", seconds, "s", RESUMED_WITHIN)


def visit(port: int) -> None:
    """Get `/healthz` on a new connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


class Ingest:
    """Posts alerts one at a time, each on a new connection."""

    def __init__(self, port: int, headers: dict):
        self.accepted = 0
        self.milliseconds: list[float] = []
        self._port = port
        self._headers = headers

    def post(self) -> None:
        """Post one alert, and count it if it is accepted."""
        start = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        body = json.dumps({"name": f"alert {len(self.milliseconds)}"})
        connection.request("POST", "/api/v1/alerts", body, self._headers)
        self.accepted += connection.getresponse().status == 202
        connection.close()
        self.milliseconds.append((time.perf_counter() - start) * 1000)


class Resumed:
    """Waits for the first delivery after the worker was stopped."""

    def __init__(self, receiver: Receiver, since: float):
        self._receiver = receiver
        self._since = since
        self._seconds = float("inf")
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        if self._receiver.wait_for(1, 60):
            self._seconds = time.monotonic() - self._since

    def wait(self) -> float:
        """Return the seconds until the first delivery."""
        self._thread.join()
        return self._seconds


if __name__ == "__main__":
    main()
