"""An upgrade under load: the file is replaced and Tocsin starts again, and clients retry once."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from json import dumps
from pathlib import Path

from parts import ROOT
from parts.figures import figure, percentile
from parts.tocsin import Browser, Live, rows
from processes import with_socket
from receiver import Receiver

SECONDS = 12
ALERTS = 100  # a second
PAGES = 20  # a second
RESTARTS_AT = 4  # seconds
RETRY_AFTER = 1.0  # seconds


@dataclass
class Results:
    """What became of the requests of one kind."""

    seconds: list[float] = field(default_factory=list)
    retried: int = 0
    failed: list[str] = field(default_factory=list)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        bundle = Path(folder, "new", "tocsin.pyz")
        subprocess.run([sys.executable, ROOT / "bundle" / "build.py", bundle], check=True)
        for name, upgrade in (("SIGUSR2", restart_in_place), ("systemd's socket", start_again)):
            print(f"-- the file is replaced, and a restart by {name}")
            measure(Path(folder, name.replace(" ", "-")), bundle, upgrade)


class FromFile(Live):
    """The bundle, on a socket that this process keeps."""

    def __init__(self, folder: Path, bundle: Path, listener: socket.socket, **environment: str):
        self.program = with_socket(listener, sys.executable, str(bundle))
        port = listener.getsockname()[1]
        self.passed = (listener.fileno(),)
        super().__init__(folder, bind=f"127.0.0.1:{port}", SHIV_ROOT=str(folder), **environment)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


def measure(folder: Path, new: Path, upgrade: Callable) -> None:
    """Print the figures of one upgrade."""
    folder.mkdir()
    bundle = folder / "tocsin.pyz"
    bundle.write_bytes(new.read_bytes())
    receiver = Receiver()
    with contextlib.ExitStack() as stack:
        stack.callback(receiver.close)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        live = FromFile(folder, bundle, listener)
        servers = [live]
        stack.callback(lambda: servers[-1].stop())
        live.ready()
        live.create_channel(f"{receiver.url}/hook")
        token = live.create_token()
        browser = Browser(live.port)
        alerts = Results()
        pages = Results()

        def restart() -> None:
            copy = bundle.with_name("copy")
            copy.write_bytes(new.read_bytes())
            copy.replace(bundle)
            servers.append(upgrade(live, folder, bundle, listener))

        with ThreadPoolExecutor(ALERTS * SECONDS) as pool:
            start = time.monotonic()
            upgrading = pool.submit(_at, start + RESTARTS_AT, restart)
            for number, due in _schedule(start, ALERTS):
                body = dumps({"name": f"Alert {number}"}).encode()
                headers = {**token, "Content-Type": "application/json"}
                pool.submit(_send, alerts, due, live.port, "POST", "/api/v1/alerts", body, headers)
                if number % (ALERTS // PAGES) == 0:
                    headers = {"Cookie": browser.cookie}
                    pool.submit(_send, pages, due, live.port, "GET", "/channels", None, headers)
            upgrading.result()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _undelivered(servers[-1]):
            time.sleep(0.2)
        report(alerts, pages, servers[-1])


def restart_in_place(live: Live, folder: Path, bundle: Path, listener: socket.socket) -> Live:
    """Have the running process start again from the new file."""
    live.process.send_signal(signal.SIGUSR2)
    return live


def start_again(live: Live, folder: Path, bundle: Path, listener: socket.socket) -> Live:
    """End the process, and start the new file on the socket that stayed open."""
    live.stop()
    return FromFile(folder, bundle, listener)


def _schedule(start: float, rate: int) -> Iterator[tuple[int, float]]:
    for number in range(rate * SECONDS):
        due = start + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        yield number, due


def _at(due: float, action: Callable[[], None]) -> None:
    time.sleep(max(0.0, due - time.monotonic()))
    action()


def _send(
    results: Results,
    due: float,
    port: int,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict,
) -> None:
    problem = _problem(port, method, path, body, headers)
    if problem:
        results.retried += 1
        time.sleep(RETRY_AFTER)
        problem = _problem(port, method, path, body, headers)
    if problem:
        results.failed.append(problem)
    results.seconds.append(time.monotonic() - due)


def _problem(port: int, method: str, path: str, body: bytes | None, headers: dict) -> str:
    """Send a request; return what went wrong, or an empty text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return "" if response.status in (200, 202) else f"status {response.status}"
    except (OSError, HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _undelivered(live: Live) -> int:
    return rows(live, "SELECT count(*) FROM delivery WHERE state <> 'delivered'")[0][0]


def report(alerts: Results, pages: Results, live: Live) -> None:
    """Print the figures."""
    [[stored]] = rows(live, "SELECT count(*) FROM alert")
    accepted = len(alerts.seconds) - len(alerts.failed)
    figure("accepted alerts that are lost", accepted - stored, "", 0, places=0)
    figure("stored alerts that are not delivered", _undelivered(live), "", 0, places=0)
    for name, results in (("alerts", alerts), ("pages", pages)):
        figure(f"{name} sent", len(results.seconds), "", places=0)
        figure(f"{name} that were retried once", results.retried, "", places=0)
        figure(f"{name} that failed after that", len(results.failed), "", 0, places=0)
        figure(f"{name}, p50", percentile(results.seconds, 50) * 1000, "ms", places=0)
        figure(f"{name}, longest", max(results.seconds) * 1000, "ms", places=0)
        for problem in sorted(set(results.failed)):
            print(f"  {results.failed.count(problem)} x {problem}")


if __name__ == "__main__":
    main()
