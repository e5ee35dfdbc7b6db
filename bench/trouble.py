"""A disk that is full, a database that is locked for ten seconds: what is answered, what is lost, and
when service returns. Needs root, for a small file system of its own.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from parts import ROOT
from parts.figures import figure
from parts.tocsin import Browser, Live
from receiver import Receiver, reply

MEGABYTES = 24
SECONDS = 10.0


def main() -> None:
    if os.geteuid():
        raise SystemExit("this needs root, to mount a small file system")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-trouble-"))
    run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder))
    receiver = Receiver()
    receiver.script = reply(200)
    try:
        live = Live(folder)
        try:
            live.ready()
            load = Load(live, receiver, folder)
            load.during("all is well", contextlib.nullcontext())
            load.during("the disk is full", full(folder))
            load.during("the database is locked", locked(folder))
            load.report()
        finally:
            live.stop()
    finally:
        receiver.close()
        run("umount", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def full(folder: Path):
    """Not a byte is left."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            continue
    yield
    filler.unlink()


@contextlib.contextmanager
def locked(folder: Path):
    """Somebody else writes, and goes on writing."""
    with contextlib.closing(
        sqlite3.connect(folder / "data" / "tocsin.db", isolation_level=None, timeout=20)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Load:
    """Posts alerts all the while, and notes how each was answered."""

    def __init__(self, live: Live, receiver: Receiver, folder: Path):
        self.live, self.receiver, self.folder = live, receiver, folder
        Browser(live.port).create_channel(
            receiver.url, timeout="5", retries="1s, 1s, 2s, 2s, 4s, 8s"
        )
        environment = {**os.environ, "TOCSIN_DATA_DIR": str(folder / "data")}
        words = [sys.executable, "cli.py", "token", "add", "trouble", "--scope", "ingest"]
        self.token = (
            subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )
        self.acknowledged: list[str] = []
        self.number = 0

    def during(self, name: str, trouble) -> None:
        """Ten seconds of it, and how long it takes until a post is acknowledged again."""
        answers: Counter[str] = Counter()
        with trouble:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                answers[self.post()] += 1
                time.sleep(0.05)
        began = time.monotonic()
        while self.post() != "202" and time.monotonic() - began < 30:
            time.sleep(0.05)
        figure(
            f"{name}: seconds until service returned", time.monotonic() - began, "s", 3, places=2
        )
        for words, count in answers.most_common():
            print(f"  {count} x {words}")

    def post(self) -> str:
        """One alert: the status, and the words where it was refused."""
        self.number += 1
        body = json.dumps({"name": f"Alert {self.number}", "annotations": {"padding": "x" * 2000}})
        connection = HTTPConnection("127.0.0.1", self.live.port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/alerts", body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status == 202:
                self.acknowledged += json.loads(text)["alerts"][0]["deliveries"]
                return "202"
            return f"{answer.status} Retry-After {answer.getheader('Retry-After')}: {json.loads(text).get('detail')}"
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer ({type(error).__name__})"
        finally:
            connection.close()

    def report(self) -> None:
        """Whether all that was acknowledged has arrived."""
        deadline = time.monotonic() + 60
        while (lost := set(self.acknowledged) - self.arrived()) and time.monotonic() < deadline:
            time.sleep(0.3)
        figure("acknowledged", len(self.acknowledged), "deliveries", places=0)
        figure("acknowledged and lost", len(lost), "deliveries", 0, places=0)
        twice = sum(
            count > 1
            for count in Counter(
                one.headers["webhook-id"] for one in self.receiver.requests
            ).values()
        )
        figure("told twice", twice, "deliveries", places=0)

    def arrived(self) -> set[str]:
        return {request.headers["webhook-id"] for request in self.receiver.requests}


def run(*words: str, check: bool = True) -> None:
    subprocess.run(words, check=check, stderr=subprocess.DEVNULL if not check else None)


if __name__ == "__main__":
    main()
