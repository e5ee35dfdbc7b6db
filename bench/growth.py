"""Time of each operation with a thousand and with a million deliveries and attempts.

Both databases are open at the same time, each in its own process, and take turns: other work on
the machine delays both. `growth.py 100000` uses another size than a million.
"""

import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from parts.figures import figure
from parts.filled import BUSY_ALERT, CHANNELS, OPEN_ALERTS, fill
from parts.quick_receiver import receiving
from parts.tocsin import FORM, PASSWORD, answered, claim_deliveries, fields_in, result_of, token_in

import database
from app import create_app
from clock import MINUTE, now_ms
from config import Config
from delivery import outbox
from delivery.alerts.parsers import parse_native
from models import Alert, DeliveryState, db

SMALL = 1_000
LARGE = 1_000_000
ROUNDS = 12
TIMES = 5
MAX_RATIO = 1.5
_MAKE_DUE = """
    UPDATE delivery SET state = 'pending', settled_at = NULL, urgency = 0, due_at = :now - 3600000
    WHERE id = (SELECT max(delivery_id) FROM notification WHERE alert_id = :alert)"""


class Installation:
    """One installation in this process, and the operations that are measured on it."""

    def __init__(self, folder: Path, size: int, receiver: int):
        environment = {
            "TOCSIN_DATA_DIR": str(folder),
            "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
            "TOCSIN_ADMIN_PASSWORD": PASSWORD,
        }
        config = Config.from_env(environment)
        self.client = create_app(config).test_client()
        token = token_in(self.client.get("/login").text)
        form = {"username": "admin", "password": PASSWORD, "csrf_token": token}
        assert self.client.post("/login", data=form).status_code == 303
        self.csrf = token_in(self.client.get("/account").text)
        url = f"http://127.0.0.1:{receiver}/services/t0ken"
        for number in range(CHANNELS):
            self.post("/channels", {**FORM, "url": url, "name": f"Channel {number}"}, 303)
        page = self.post("/tokens", {"name": "bench", "scope": ["ingest", "metrics"]}, 200)
        self.token = {"Authorization": f"Bearer {re.search('tocsin_[A-Za-z0-9_-]{43}', page)[0]}"}
        fill(db, size)
        self.form = fields_in(self.get("/channels/1/edit"))
        self.last_delivery = re.search("msg_[0-9]+", self.get("/deliveries"))[0]
        self.open_alert = size // 10 - OPEN_ALERTS // 2
        self.numbers = iter(range(10**9))

    def get(self, path: str, headers: dict | None = None) -> str:
        response = self.client.get(path, headers=headers)
        assert response.status_code == 200, (path, response.status_code, response.text[:400])
        return response.text

    def post(self, path: str, form: dict, expected: int) -> str:
        response = self.client.post(path, data={**form, "csrf_token": self.csrf})
        assert response.status_code == expected, (path, response.status_code, response.text[:400])
        return response.text

    def pages(self) -> dict[str, str]:
        """Return the pages that are measured, by name."""
        channel = "/deliveries?channel=2"
        alert = f"/deliveries?alert={BUSY_ALERT}"
        return {
            "editor": "/channels/2/edit",
            "list of channels": "/channels",
            "log": "/deliveries",
            "log of a state": "/deliveries?state=failed",
            "log of a rare state": "/deliveries?state=parked",
            "log of what waits": "/deliveries?state=waiting",
            "log of a channel": channel,
            "log of a channel and a state": f"{channel}&state=delivered",
            "log of a channel and a rare state": f"{channel}&state=parked",
            "log of a busy alert": alert,
            "log of a busy alert and a state": f"{alert}&state=delivered",
            "log of a busy alert and a rare state": f"{alert}&state=parked",
            "log of a busy alert, a channel and a rare state": f"{alert}&channel=2&state=parked",
            "a delivery": f"/deliveries/{self.last_delivery}",
            "alerts": "/alerts",
            "a busy alert": f"/alerts/{BUSY_ALERT}",
            "silences": "/silences",
        }

    def operations(self) -> dict[str, Callable[[], object]]:
        """Return the operations by name."""
        operations: dict[str, Callable[[], object]] = {}
        for name, path in self.pages().items():
            operations[name] = lambda path=path: self.get(path)
        operations["/metrics"] = lambda: self.get("/metrics", self.token)
        operations["test"] = lambda: self.post("/channels/1/test", self.form, 200)
        operations["save of a channel"] = self.save
        operations["ingest of a new alert"] = self.ingest
        operations["ingest of a busy alert"] = lambda: self.ingest(BUSY_ALERT)
        operations["claim and settle"] = lambda: self.claim(self.open_alert)
        operations["claim and settle of a busy alert"] = lambda: self.claim(BUSY_ALERT)
        operations["upkeep"] = self.upkeep
        return operations

    def ingest(self, alert_id: int = 0) -> None:
        """Post an alert; the busy one opens and closes in turn."""
        number = next(self.numbers)
        alert = {"name": "A new alert", "key": f"new {number}", "status": "open"}
        if alert_id:
            alert = {"name": "Disk almost full", "key": "busy", "status": "closed"}
            alert["status"] = ("open", "closed")[number % 2]
        headers = {**self.token, "Content-Type": "application/json"}
        response = self.client.post("/api/v1/alerts", json=alert, headers=headers)
        assert response.status_code == 202, response.text

    def save(self) -> None:
        self.post("/channels/1", self.form, 303)
        self.form["version"] = str(int(self.form["version"]) + 1)

    def claim(self, alert_id: int) -> None:
        """Claim the newest delivery of an alert, and settle it: it is retried in an hour."""
        now = now_ms()
        db.execute_sql(_MAKE_DUE, {"now": now, "alert": alert_id})
        [claimed] = claim_deliveries(now, max_count=1)
        assert claimed.alert_id == alert_id
        result = result_of(
            claimed, answered(), now, state=DeliveryState.PENDING, due_at=now + MINUTE * 60
        )
        with database.relaxed_durability():
            outbox.settle([result], now)

    def upkeep(self) -> None:
        """Do what the worker does each second, without closing or pruning anything."""
        now = now_ms()
        with database.relaxed_durability():  # as delivery/listening.py does
            outbox.report_listening(now, max_gap=0)
        outbox.next_due(now)
        outbox.newest_id()
        outbox.close_overdue(now)
        outbox.review(now)
        outbox.sweep(now)


def serve(folder: str, size: int, receiver: int, pipe) -> None:
    """Measure what the parent names, in this process, until it names nothing."""
    started = time.perf_counter()
    installation = Installation(Path(folder), size, receiver)
    Alert.update(key=_key("busy")).where(Alert.id == BUSY_ALERT).execute()
    operations = installation.operations()
    for operation in operations.values():
        operation()
    pipe.send((list(operations), time.perf_counter() - started))
    while name := pipe.recv():
        durations = []
        for _ in range(TIMES):
            start = time.perf_counter()
            operations[name]()
            durations.append((time.perf_counter() - start) * 1000)
        pipe.send(durations)


def _key(key: str) -> str:
    """Return the stored key of a native alert with this `key`."""
    return parse_native({"key": key, "name": "Disk almost full"}, 0).alerts[0].key


def main(size: int = LARGE) -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as root, receiving() as receiver:
        pipes = []
        for count in (SMALL, size):
            pipe, other = context.Pipe()
            folder = os.path.join(root, str(count))
            process = context.Process(
                target=serve, args=(folder, count, receiver, other), daemon=True
            )
            process.start()
            names, seconds = pipe.recv()
            megabytes = Path(folder, "tocsin.db").stat().st_size / 1e6
            print(f"{count:,} rows: {megabytes:,.0f} MB, filled in {seconds:.0f} s", flush=True)
            pipes.append(pipe)
        measured = {name: ([], []) for name in names}
        for _ in range(ROUNDS):
            for name in names:
                for pipe, durations in zip(pipes, measured[name], strict=True):
                    pipe.send(name)
                    durations += pipe.recv()
        report(measured, size)
        for pipe in pipes:
            pipe.send("")


def report(measured: dict[str, tuple[list[float], list[float]]], size: int) -> None:
    """Print a line for each operation, and how many grow more than they may."""
    print(f"{'operation':48} {SMALL:>12,} {size:>12,}    ratio")
    grown = 0
    for name, durations in measured.items():
        small, large = map(statistics.median, durations)
        ratio = large / small
        mark = "" if ratio <= MAX_RATIO else "  MISSED"
        grown += ratio > MAX_RATIO
        print(f"{name:48} {small:>9.2f} ms {large:>9.2f} ms {ratio:>8.2f}{mark}")
    figure(f"operations beyond {MAX_RATIO} times", grown, "operations", 0, places=0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
