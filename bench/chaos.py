"""`kill -9` of the worker, of a web worker, or of everything, at random points under load: what is lost, what is told twice?

Alerts are posted and acknowledged all the while, to eight channels: four receivers are well, two fail at random, two hang. In
the end all are well, and everything that was acknowledged must have arrived.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
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
from parts.tocsin import Browser, Live, processes_of
from receiver import Receiver, raw

KILLS = int(os.environ.get("KILLS", "100"))
PATIENCE = 240.0
RETRIES = "1s, 1s, 2s, 2s, 4s, 4s, 8s, 8s, 15s, 15s, 30s, 30s"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def main() -> None:
    dice, receivers = random.Random(7), [Receiver() for _ in range(8)]
    for number, one in enumerate(receivers):
        one.good = []
        one.script = (counted, counted, counted, counted, sometimes, sometimes, hanging, hanging)[
            number
        ]
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as folder:
        live = Started(Path(folder), receivers)
        source = Source(live)
        try:
            ready = [one for _ in range(KILLS) if (one := live.kill(dice)) is not None]
            source.stop()
            for one in receivers:
                one.script = counted
            waiting = live.settled()
            report(live, source, receivers, ready, waiting)
        finally:
            source.stop()
            live.server.stop()
            for one in receivers:
                one.close()


def counted(receiver, connection) -> None:
    """Answers 200, and notes which delivery it was."""
    receiver.good.append(receiver.requests[-1].headers["webhook-id"])
    raw(OK)(receiver, connection)


def sometimes(receiver, connection) -> None:
    counted(receiver, connection) if random.random() < 0.5 else raw(BUSY)(receiver, connection)


def hanging(receiver, _connection) -> None:
    receiver.stopped.wait(8)


class Started:
    """Tocsin under attack, and what is needed to start it again."""

    def __init__(self, folder: Path, receivers: list[Receiver]):
        self.folder, self.port = folder, 0
        self.server = Live(folder)
        self.port = self.server.port
        self.server.ready()
        browser = Browser(self.port)
        for number, one in enumerate(receivers):
            browser.create_channel(one.url, name=f"Channel {number}", timeout="2", retries=RETRIES)
        self.token = self.command("token", "add", "chaos", "--scope", "ingest").strip()

    def command(self, *words: str) -> str:
        """What a subcommand prints."""
        environment = {**os.environ, "TOCSIN_DATA_DIR": str(self.folder / "data")}
        done = subprocess.run(
            [sys.executable, "cli.py", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    def kill(self, dice: random.Random) -> float | None:
        """Kills something at a random moment; the seconds until it was ready again, when that was everything."""
        time.sleep(dice.uniform(0.05, 0.6))
        pids = processes_of(self.server.process.pid)
        commands = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in pids
            if Path(f"/proc/{pid}").exists()
        }
        workers = [pid for pid, words in commands.items() if b"\0worker\0" in words]
        web = [pid for pid in commands if pid not in (*workers, pids[0]) and pid != pids[1]]
        choice = dice.choice(["worker", "worker", "web", "everything"])
        for pid in {"worker": workers, "web": web[-1:], "everything": pids}[choice]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return self.again() if choice == "everything" else None

    def again(self) -> float:
        """Starts it on the same port; the seconds until it is ready."""
        self.server.process.wait()
        self.server.log.close()
        self.server = Live(self.folder, TOCSIN_BIND=f"127.0.0.1:{self.port}")
        self.server.url = f"http://127.0.0.1:{self.port}"
        return self.server.ready(20)

    def settled(self) -> int:
        """Waits until nothing waits any more; how many deliveries still do when patience is at its end."""
        deadline = time.monotonic() + PATIENCE
        while (count := self.waiting()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return count

    def waiting(self) -> int:
        return self.rows(
            "SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending', 'held')"
        )[0][0]

    def rows(self, words: str) -> list[tuple]:
        """Read from the file, beside the server."""
        with contextlib.closing(
            sqlite3.connect(
                f"file:{self.folder / 'data' / 'tocsin.db'}?mode=ro", uri=True, timeout=10
            )
        ) as db:
            return db.execute(words).fetchall()


class Source:
    """Posts alerts, one after another, and notes which were acknowledged."""

    def __init__(self, live: Started):
        self.live, self.acknowledged, self.posted = live, [], 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _post(self, mine: int) -> None:
        headers = {"Authorization": f"Bearer {self.live.token}", "Content-Type": "application/json"}
        for number in itertools.count():
            if self._stop.wait(0.02):
                return
            body = json.dumps(
                {
                    "name": f"Alert {mine}-{number}",
                    "labels": {"thread": str(mine), "number": str(number)},
                }
            )
            connection = HTTPConnection("127.0.0.1", self.live.port, timeout=10)
            with contextlib.suppress(OSError, HTTPException):
                self.posted += 1
                connection.request("POST", "/api/v1/alerts", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status == 202:
                    self.acknowledged += json.loads(text)["alerts"][0]["deliveries"]
                elif answer.status != 503:
                    raise SystemExit(f"a post was answered {answer.status}: {text[:300]!r}")
            connection.close()


def report(
    live: Started, source: Source, receivers: list[Receiver], ready: list[float], waiting: int
) -> None:
    """Prints what came of it."""
    arrived = Counter(name for one in receivers for name in one.good)
    bodies: dict[str, set[bytes]] = {}
    for one in receivers:
        for request in one.requests:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
    lost = [name for name in source.acknowledged if not arrived[name]]
    states = Counter(dict(live.rows("SELECT state, count(*) FROM delivery GROUP BY state")))
    figure("kills", KILLS, "", places=0)
    figure("alerts posted", source.posted, "", places=0)
    figure("deliveries acknowledged", len(source.acknowledged), "", places=0)
    figure("acknowledged deliveries lost", len(lost), "", 0, places=0)
    figure("deliveries that still wait", waiting, "", 0, places=0)
    figure(
        "deliveries told twice",
        sum(count > 1 for count in arrived.values()) / max(1, len(arrived)) * 100,
        "%",
        0.5,
        places=2,
    )
    figure(
        "deliveries that came with two bodies",
        sum(len(one) > 1 for one in bodies.values()),
        "",
        0,
        places=0,
    )
    figure("deliveries parked", states["parked"], "", 0, places=0)
    if ready:
        figure(
            f"ready again after everything was killed, longest of {len(ready)}",
            max(ready),
            "s",
            3,
            places=2,
        )
        figure("ready again, median", percentile(ready, 50), "s", places=2)
    whole = live.rows("PRAGMA integrity_check")[0][0]
    print(f"integrity check: {whole}; states: {dict(states)}")
    if lost:
        print(f"lost: {lost[:10]}")


if __name__ == "__main__":
    main()
