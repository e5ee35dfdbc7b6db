"""The systems of the comparison, each started on a sink with a number of channels."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from parts.driver import TOKEN, Driver
from parts.sink import Sink
from parts.tocsin import Browser, free_port, rows, running

ALERTMANAGER = "prometheus-alertmanager"
REDIS = "redis-server"
HUEY_THREADS = "2"  # processes are as fast on Redis, and get in each other's way on SQLite
SETTLE_SECONDS = 60
START_SECONDS = 20
_UNSETTLED = "SELECT count(*) FROM delivery WHERE state NOT IN ('delivered', 'accepted')"


@dataclass
class System:
    """A running system, and the driver that brings alerts in."""

    driver: Driver
    pids: list[int]  # their families are the system under test
    unsettled: Callable[[], int] = lambda: 0

    def settle(self) -> None:
        """Wait until the system has stored the result of every delivery.

        Raises:
            AssertionError: It has not after a while.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := self.unsettled()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left, f"{left} deliveries are not settled"


@contextlib.contextmanager
def tocsin(sink: Sink, channels: int) -> Iterator[System]:
    """Start Tocsin: signed channels with a bearer token, durable, the guard on."""
    with running(TOCSIN_PIN_CORES=os.environ.get("TOCSIN_PIN_CORES", "0")) as live:
        browser = Browser(live.port)
        for number in range(channels):
            browser.create_channel(sink.url(number), name=f"Channel {number}", payload="")
        browser.close()
        token = live.create_token()["Authorization"].removeprefix("Bearer ")
        with driving("post", str(live.port), "/api/v1/alerts", token) as driver:
            yield System(driver, [live.process.pid], lambda: rows(live, _UNSETTLED)[0][0])


@contextlib.contextmanager
def alertmanager(sink: Sink, channels: int) -> Iterator[System]:
    """Start Debian's Alertmanager: every alert on its own, at once, in memory."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="alertmanager-bench-") as folder:
        config = Path(folder, "alertmanager.yml")
        config.write_text(alertmanager_config(sink, channels))
        command = [
            ALERTMANAGER,
            f"--config.file={config}",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]
        with started(command) as pid:
            wait_for_port(port)
            with driving("post", str(port), "/api/v2/alerts", "") as driver:
                yield System(driver, [pid])


def alertmanager_config(sink: Sink, channels: int) -> str:
    """Return a configuration in which every alert goes to all channels."""
    routes = []
    receivers = []
    for number in range(channels):
        routes.append(f"    - {{receiver: channel-{number}, continue: true}}")
        receivers.append(
            f"  - name: channel-{number}\n"
            f"    webhook_configs:\n"
            f"      - url: {sink.url(number)}\n"
            f"        send_resolved: false\n"
            f"        max_alerts: 0\n"
            f"        http_config: {{authorization: {{credentials: {TOKEN}}}}}"
        )
    route = (
        "route:\n  receiver: channel-0\n  group_by: ['...']\n  group_wait: 0s\n"
        "  group_interval: 5m\n  repeat_interval: 4h\n  routes:\n"
    )
    return route + "\n".join(routes) + "\nreceivers:\n" + "\n".join(receivers) + "\n"


@contextlib.contextmanager
def loop(sink: Sink, channels: int) -> Iterator[System]:
    """Start the bare loop of `requests.Session.post`."""
    with driving("loop", *map(sink.url, range(channels))) as driver:
        yield System(driver, [driver.pid])


@contextlib.contextmanager
def huey_sqlite(sink: Sink, channels: int) -> Iterator[System]:
    """Start huey with two threads on an SQLite file."""
    with (
        tempfile.TemporaryDirectory(prefix="huey-bench-") as folder,
        huey(sink, channels, str(Path(folder, "huey.db"))) as system,
    ):
        yield system


@contextlib.contextmanager
def huey_redis(sink: Sink, channels: int) -> Iterator[System]:
    """Start huey with two threads on Redis, which syncs its log every second."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="huey-bench-") as folder:
        command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        command += ["--appendonly", "yes", "--logfile", "log"]
        with started(command) as pid:
            wait_for_port(port)
            with huey(sink, channels, f"redis://127.0.0.1:{port}/0") as system:
                system.pids.append(pid)
                yield system


@contextlib.contextmanager
def huey(sink: Sink, channels: int, queue: str) -> Iterator[System]:
    """Start huey's consumer and a process that enqueues."""
    environment = {"BENCH_HUEY": queue, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "parts.tasks.tasks"]
    command += ["--quiet", "--no-periodic", "--delay", "0.01", "--max-delay", "0.05"]
    command += ["--worker-type", "thread", "--workers", HUEY_THREADS]
    urls = map(sink.url, range(channels))
    with (
        started(command, **environment) as pid,
        driving("enqueue", *urls, **environment) as driver,
    ):
        yield System(driver, [pid, driver.pid])


PEERS: dict[str, Callable[[Sink, int], contextlib.AbstractContextManager[System]]] = {
    "tocsin": tocsin,
    "alertmanager": alertmanager,
    "loop": loop,
    "huey": huey_sqlite,
    "huey-redis": huey_redis,
}


def missing(peer: str) -> str:
    """Return why a system cannot be measured here, or an empty string."""
    if peer == "alertmanager" and not shutil.which(ALERTMANAGER):
        return f"Alertmanager is not installed (apt-get install {ALERTMANAGER}), and left out."
    if peer == "huey-redis" and not (shutil.which(REDIS) and importlib.util.find_spec("redis")):
        return f"Redis is not installed (apt-get install {REDIS}; pip install redis): left out."
    return ""


@contextlib.contextmanager
def driving(*arguments: str, **environment: str) -> Iterator[Driver]:
    """Start a driver, and stop it afterwards."""
    driver = Driver(*arguments, **environment)
    try:
        yield driver
    finally:
        driver.stop()


@contextlib.contextmanager
def started(command: list[str], **environment: str) -> Iterator[int]:
    """Start a program, yield its process id, and stop it afterwards."""
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int) -> None:
    """Wait until a program listens on a port.

    Raises:
        OSError: It does not after some seconds.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
