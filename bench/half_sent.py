"""Clients that never finish their request, tests that drip, and a stopped worker, all at once.

`/healthz` must stay quick, alerts must be accepted, and deliveries must go on once the worker has
been replaced.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from http.client import HTTPConnection

from drip import run_concurrently
from parts.figures import figure, percentile, run_at_intervals, summary
from parts.tocsin import Browser, running
from processes import workers_of
from receiver import Receiver, drip

HALF_SENT = 200
TESTS = 30
TEST_TIMEOUT = 20
SECONDS = 45
INTERVAL = 0.05
RESUMED_WITHIN = 40
HEAD = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PARTS = (
    b"POST /lo",
    HEAD,
    HEAD + b"Content-Length: 1000\r\n\r\na=b",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\na=b",
)


class HalfSent:
    """Connections that send a part of a request, then a byte a second; each is opened again."""

    def __init__(self, port: int):
        self.stop = threading.Event()
        self.refused = 0
        self._port = port
        self._threads = [
            threading.Thread(target=self._run, args=(PARTS[number % len(PARTS)],))
            for number in range(HALF_SENT)
        ]

    def __enter__(self) -> "HalfSent":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, part: bytes) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(OSError):
                self._send_slowly(part)

    def _send_slowly(self, part: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
            connection.sendall(part)
            while not self.stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.recv(1000)
                    self.refused += 1
                    return
                connection.sendall(b"a")


def main() -> None:
    dripping = Receiver()
    dripping.script = drip(every=1.0)
    arriving = Receiver()
    try:
        with running() as live:
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
    with HalfSent(live.port) as clients:
        time.sleep(1)
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
    figure(f"/healthz p99 beside {HALF_SENT} half-sent requests", percentile(health, 99), "ms", 250)
    print(f"  {summary(health)}; {clients.refused} half-sent requests were refused")
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
