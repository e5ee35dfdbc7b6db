"""Size of the database file after a month, and after a year of the same volume.

The clock of the worker runs a year in a minute. Each day, alerts open and close, a receiver that is
a function answers, and the worker prunes as it does every minute. `year.py 20` uses 20 alerts a
day.
"""

import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from parts.figures import figure
from parts.tocsin import answered

import database
from clock import DAY, HOUR, MINUTE
from config import Config
from delivery import outbox
from delivery import worker as worker_module
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.secrets.encryption import Keyring
from delivery.sender import SendResult
from delivery.settings import Settings, write_settings
from delivery.worker import Worker
from models import Channel, Delivery, db

ALERTS_A_DAY = 40
CHANNELS = 2
MONTH = 31  # days
YEAR = 365
MAX_GROWTH = 0.5  # percent; the size varies by that much from day to day
START = 1_790_000_000_000
OUTCOME = answered(excerpt="ok " * 50)

# Ids have their length of later years from the start: only what is kept may make the file larger.
_LONG_IDS = (
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('alert', 3000000), ('attempt', 3000000)"
)


class Pool:
    """A pool that sends at once, in the same thread."""

    def submit(self, job, prepared) -> None:
        """Run a job."""
        job(prepared)


class Clock:
    """The time in milliseconds."""

    now = START

    def seconds(self) -> float:
        """Return the time in seconds."""
        return self.now / 1000


def main(alerts: int = ALERTS_A_DAY) -> None:
    worker_module.send = lambda *_, **__: SendResult(None, OUTCOME)
    started = time.perf_counter()
    sizes = []
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        config = Config.from_env({"TOCSIN_DATA_DIR": folder}).with_keys()
        database.prepare(config.database)
        with db.connection_context():
            create_channels(config)
            db.execute_sql(_LONG_IDS)
            clock = Clock()
            worker = Worker(config, clock=clock.seconds, monotonic=clock.seconds)
            worker._pool = Pool()
            worker._wait_seconds = lambda _timeout: 0.0
            worker.begin()
            for day in range(YEAR):
                live_through(day, alerts, clock, worker)
                sizes.append(size(config.database))
            rows = Delivery.select().count()
    figure("deliveries stored in the end", rows, "rows", places=0)
    figure("simulated in", time.perf_counter() - started, "s")
    month = statistics.median(sizes[MONTH - 1 : MONTH + 6])
    figure(f"file after {MONTH} days, median of a week", month / 1e6, "MB", places=2)
    figure("largest file of the year", max(sizes) / 1e6, "MB", places=2)
    last = statistics.median(sizes[-7:])
    figure(f"file after {YEAR} days, median of a week", last / 1e6, "MB", places=2)
    growth = (last / month - 1) * 100
    figure(f"growth from day {MONTH} to day {YEAR}", growth, "%", MAX_GROWTH, places=2)


def create_channels(config: Config) -> None:
    """Create the channels that get every alert."""
    keyring = Keyring(config.encryption_keys)
    for number in range(CHANNELS):
        row = Channel.create(name=f"Channel {number}", kind="", created_at=START, updated_at=START)
        settings = Settings(kind="webhook", url="https://hooks.example.com/services/t0ken")
        write_settings(row, settings, keyring, config.secret_key)
        row.save()


def live_through(day: int, alerts: int, clock: Clock, worker: Worker) -> None:
    """Open the alerts of a day, close them an hour later, and let the worker do its work."""
    for status in ("open", "closed"):
        outbox.report_listening(clock.now, max_gap=0)
        outbox.store(
            [alert(f"{day:03} {number:02}", status) for number in range(alerts)], clock.now
        )
        work(clock, worker)
        clock.now += HOUR
    clock.now = START + (day + 1) * DAY
    work(clock, worker)


def work(clock: Clock, worker: Worker) -> None:
    """Run the worker until nothing is due and nothing is left to prune."""
    clock.now += MINUTE
    while worker.run_once(0) or worker._unsettled or worker._upkeep.wait < 1:
        clock.now += 20


def alert(name: str, status: str) -> ReceivedAlert:
    """Return an alert like one of Prometheus."""
    parts = {
        "name": "DiskAlmostFull",
        "status": status,
        "labels": {"alertname": "DiskAlmostFull", "instance": name, "severity": "warning"},
        "annotations": {"summary": f"/var on {name} is 93 % full"},
    }
    key = sha256(name.encode()).hexdigest()
    return ReceivedAlert(key, Alert.from_json(parts))


def size(path: Path) -> int:
    """Return the size of the database file, with everything written to it."""
    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
