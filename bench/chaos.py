"""Deliveries lost or sent twice when processes are killed at random points under load.

Each kill is a `kill -9` of one or both workers, of a web process or of everything. Alerts are
posted to eight channels all the time: four receivers work, two fail at random, two hang. At the end
all of them work, and every acknowledged delivery must have arrived. A delivery may arrive again
only if it was in flight at a kill, and then under the same id.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from parts import ROOT
from parts.figures import figure, percentile
from parts.tocsin import Browser, Live, family, rows
from receiver import Receiver, raw

KILLS = int(os.environ.get("KILLS", "100"))
SENDERS = "2"  # workers
TIMEOUT = 240.0  # seconds
RETRIES = "1s, 1s, 2s, 2s, 4s, 4s, 8s, 8s, 15s, 15s, 30s, 30s"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# Attempts that a kill interrupted have no row.
INTERRUPTED = """
    SELECT 'msg_' || id, attempts - (SELECT count(*) FROM attempt WHERE delivery_id = delivery.id)
        AS missing FROM delivery WHERE missing > 0"""
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def main() -> None:
    rng = random.Random(7)
    scripts = (succeed, succeed, succeed, succeed, fail_at_random, fail_at_random, hang, hang)
    receivers = []
    for script in scripts:
        receiver = Receiver()
        receiver.delivered = []
        receiver.script = script
        receivers.append(receiver)
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as folder:
        live = Target(Path(folder), receivers)
        source = Source(live)
        try:
            restarts = list(filter(None, (live.kill(rng) for _ in range(KILLS))))
            source.stop()
            for receiver in receivers:
                receiver.script = succeed
            waiting = live.wait_until_settled()
            report(live, source, receivers, restarts, waiting)
        finally:
            source.stop()
            live.server.stop()
            for receiver in receivers:
                receiver.close()


def succeed(receiver, connection) -> None:
    """Respond with 200 and record the delivery."""
    receiver.delivered.append(receiver.requests[-1].headers["webhook-id"])
    raw(OK)(receiver, connection)


def fail_at_random(receiver, connection) -> None:
    if random.random() < 0.5:
        succeed(receiver, connection)
    else:
        raw(BUSY)(receiver, connection)


def hang(receiver, _connection) -> None:
    receiver.stopped.wait(8)


class Target:
    """A Tocsin that is killed and started again."""

    def __init__(self, folder: Path, receivers: list[Receiver]):
        self.folder = folder
        self.server = Live(folder, TOCSIN_SENDERS=SENDERS)
        self.port = self.server.port
        self.server.ready()
        browser = Browser(self.port)
        for number, receiver in enumerate(receivers):
            browser.create_channel(
                receiver.url, name=f"Channel {number}", timeout="2", retries=RETRIES
            )
        self.token = self._run("token", "add", "chaos", "--scope", "ingest").strip()

    def _run(self, *arguments: str) -> str:
        environment = {**os.environ, "TOCSIN_DATA_DIR": str(self.folder / "data")}
        command = [sys.executable, "cli.py", *arguments]
        process = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True
        )
        return process.stdout

    def kill(self, rng: random.Random) -> float | None:
        """Kill processes at a random time.

        Return the seconds until Tocsin is ready again if everything was killed.
        """
        time.sleep(rng.uniform(0.05, 0.6))
        pids = family(self.server.process.pid)
        commands = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in pids
            if Path(f"/proc/{pid}").exists()
        }
        workers = [pid for pid, command in commands.items() if b"\0worker\0" in command]
        web = [pid for pid in commands if pid not in (*workers, pids[0])]
        one_web = rng.sample(web, min(1, len(web)))
        choice = rng.choice(["worker", "worker", "web", "everything"])
        some_workers = rng.sample(workers, rng.randint(min(1, len(workers)), len(workers)))
        chosen = {"worker": some_workers, "web": one_web, "everything": pids}
        for pid in chosen[choice]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.restart() if choice == "everything" else None

    def restart(self) -> float:
        """Start Tocsin on the same port; return the seconds until it is ready."""
        self.server.process.wait()
        self.server.log.close()
        self.server = Live(
            self.folder, TOCSIN_BIND=f"127.0.0.1:{self.port}", TOCSIN_SENDERS=SENDERS
        )
        self.server.url = f"http://127.0.0.1:{self.port}"
        return self.server.ready(20)

    def wait_until_settled(self) -> int:
        """Wait until no delivery is waiting; return how many still are after the timeout."""
        deadline = time.monotonic() + TIMEOUT
        while (count := self.waiting()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return count

    def waiting(self) -> int:
        """Return the number of deliveries that have not ended."""
        states = "('pending', 'sending', 'held')"
        return self.rows(f"SELECT count(*) FROM delivery WHERE state IN {states}")[0][0]

    def rows(self, statement: str) -> list[tuple]:
        """Return the rows of a query, read from the database file."""
        return rows(self.server, statement)


class Source:
    """Post alerts and record the acknowledged deliveries."""

    def __init__(self, live: Target):
        self.live = live
        self.acknowledged: list[str] = []
        self.posted = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop posting."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _post(self, thread: int) -> None:
        headers = {"Authorization": f"Bearer {self.live.token}", "Content-Type": "application/json"}
        for number in itertools.count():
            if self._stop.wait(0.02):
                return
            labels = {"thread": str(thread), "number": str(number)}
            body = json.dumps({"name": f"Alert {thread}-{number}", "labels": labels})
            connection = HTTPConnection("127.0.0.1", self.live.port, timeout=10)
            with contextlib.suppress(OSError, HTTPException):
                self.posted += 1
                connection.request("POST", "/api/v1/alerts", body, headers)
                response = connection.getresponse()
                text = response.read()
                if response.status == 202:
                    self.acknowledged += json.loads(text)["alerts"][0]["deliveries"]
                elif response.status != 503:
                    raise SystemExit(f"A request returned {response.status}: {text[:300]!r}")
            connection.close()


def report(
    live: Target, source: Source, receivers: list[Receiver], restarts: list[float], waiting: int
) -> None:
    """Print the figures."""
    arrived = Counter(name for receiver in receivers for name in receiver.delivered)
    bodies: dict[str, set[bytes]] = {}
    for receiver in receivers:
        for request in receiver.requests:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
    lost = [name for name in source.acknowledged if not arrived[name]]
    repeats = {name: count - 1 for name, count in arrived.items() if count > 1}
    interrupted = dict(live.rows(INTERRUPTED))
    unexplained = [name for name, count in repeats.items() if count > interrupted.get(name, 0)]
    changed = sum(len(variants) > 1 for variants in bodies.values())
    states = Counter(dict(live.rows("SELECT state, count(*) FROM delivery GROUP BY state")))
    figure("kills", KILLS, "", places=0)
    figure("alerts posted", source.posted, "", places=0)
    figure("deliveries acknowledged", len(source.acknowledged), "", places=0)
    figure("acknowledged deliveries lost", len(lost), "", 0, places=0)
    figure("deliveries still waiting", waiting, "", 0, places=0)
    figure("deliveries in flight at a kill", len(interrupted), "", places=0)
    figure("deliveries that arrived again", len(repeats), "", places=0)
    figure("of these, not in flight at a kill", len(unexplained), "", 0, places=0)
    figure("deliveries sent with two bodies", changed, "", 0, places=0)
    figure("deliveries parked", states["parked"], "", 0, places=0)
    if restarts:
        name = "ready again after everything was killed"
        figure(f"{name}, longest of {len(restarts)}", max(restarts), "s", 3, places=2)
        figure(f"{name}, median", percentile(restarts, 50), "s", places=2)
    integrity = live.rows("PRAGMA integrity_check")[0][0]
    print(f"integrity check: {integrity}; states: {dict(states)}")
    for title, names in (("lost", lost), ("unexplained repeats", unexplained)):
        if names:
            print(f"{title}: {names[:10]}")


if __name__ == "__main__":
    main()
