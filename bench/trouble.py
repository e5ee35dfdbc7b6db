"""Responses, losses and recovery with a full disk and with a database locked for ten seconds.

Requires root, to mount a small file system.
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

DISK_MEGABYTES = 24
SECONDS = 10.0


def main() -> None:
    if os.geteuid():
        raise SystemExit("This benchmark requires root, to mount a small file system.")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-trouble-"))
    run("mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder))
    receiver = Receiver()
    receiver.script = reply(200)
    try:
        live = Live(folder)
        try:
            live.ready()
            load = Load(live, receiver, folder)
            load.during("no fault", contextlib.nullcontext())
            load.during("the disk is full", full_disk(folder))
            load.during("the database is locked", locked_database(folder))
            load.report()
        finally:
            live.stop()
    finally:
        receiver.close()
        run("umount", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def full_disk(folder: Path):
    """Fill the disk to the last byte."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    yield
    filler.unlink()


@contextlib.contextmanager
def locked_database(folder: Path):
    """Hold the write lock of the database."""
    path = folder / "data" / "tocsin.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


class Load:
    """Post alerts and count the responses."""

    def __init__(self, live: Live, receiver: Receiver, folder: Path):
        self.live = live
        self.receiver = receiver
        Browser(live.port).create_channel(
            receiver.url, timeout="5", retries="1s, 1s, 2s, 2s, 4s, 8s"
        )
        environment = {**os.environ, "TOCSIN_DATA_DIR": str(folder / "data")}
        command = [sys.executable, "cli.py", "token", "add", "trouble", "--scope", "ingest"]
        process = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True
        )
        self.token = process.stdout.strip()
        self.acknowledged: list[str] = []
        self.number = 0

    def during(self, name: str, fault) -> None:
        """Post during a fault; print the responses and the time until alerts are accepted again."""
        responses: Counter[str] = Counter()
        with fault:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                responses[self.post()] += 1
                time.sleep(0.05)
        start = time.monotonic()
        while self.post() != "202" and time.monotonic() - start < 30:
            time.sleep(0.05)
        recovery = time.monotonic() - start
        figure(f"{name}: seconds until service returned", recovery, "s", 3, places=2)
        for response, count in responses.most_common():
            print(f"  {count} x {response}")

    def post(self) -> str:
        """Post an alert; return the status, with the message if it was refused."""
        self.number += 1
        body = json.dumps({"name": f"Alert {self.number}", "annotations": {"padding": "x" * 2000}})
        connection = HTTPConnection("127.0.0.1", self.live.port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/alerts", body, headers)
            response = connection.getresponse()
            document = json.loads(response.read())
            if response.status == 202:
                self.acknowledged += document["alerts"][0]["deliveries"]
                return "202"
            retry_after = response.getheader("Retry-After")
            return f"{response.status} Retry-After {retry_after}: {document.get('detail')}"
        except (OSError, HTTPException, ValueError) as error:
            return f"no response ({type(error).__name__})"
        finally:
            connection.close()

    def report(self) -> None:
        """Print how many acknowledged deliveries were lost or sent twice."""
        deadline = time.monotonic() + 60
        while (lost := set(self.acknowledged) - self.arrived()) and time.monotonic() < deadline:
            time.sleep(0.3)
        figure("acknowledged", len(self.acknowledged), "deliveries", places=0)
        figure("acknowledged and lost", len(lost), "deliveries", 0, places=0)
        counts = Counter(request.headers["webhook-id"] for request in self.receiver.requests)
        twice = sum(count > 1 for count in counts.values())
        figure("sent twice", twice, "deliveries", places=0)

    def arrived(self) -> set[str]:
        return {request.headers["webhook-id"] for request in self.receiver.requests}


def run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
