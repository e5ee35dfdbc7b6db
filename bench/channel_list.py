"""Time of the list of channels, with 1,000 channels and a million deliveries.

One request follows another. The CPU time, of Tocsin without the server of PostgreSQL, is also that
of a busy machine.
`channel_list.py postgresql` uses a PostgreSQL that it starts.
"""

import contextlib
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from costs import URL, create_channel
from parts.cluster import cluster, is_installed
from parts.figures import figure, percentile
from parts.tocsin import PASSWORD, Browser, Live, running
from parts.usage import cpu_seconds

import database
from app import create_app
from clock import now_ms
from config import Config
from delivery.kinds import kinds
from models import Channel, db

CHANNELS = 1_000
DELIVERIES = 1_000_000
REQUESTS = 200
WARM_UP = 20
TARGET = 50
PAGES = {
    "list of channels": "/channels",
    "its last page": "/channels?page=20",
    "search of a name": "/channels?q=channel+77",
    "search of a host": "/channels?q=hooks.example",
    "filter by health": "/channels?health=failing",
    "channels in trouble, worst first": "/channels?health=trouble&sort=trouble",
    "filter by kind, proof and state": "/channels?kind=slack&proof=unproven&state=delivering",
}
ACTIONS = (
    ("question before pausing all", "/channels/bulk", {"action": "pause"}, 200),
    ("pausing all", "/channels/bulk/pause", {"waiting": "hold"}, 303),
    ("resuming all", "/channels/bulk/resume", {"held": "none"}, 303),
    ("deleting all", "/channels/bulk/delete", {}, 303),
)
MAX_SECONDS = 5
_FILL = (
    """
    CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS (
        SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :size) SELECT i FROM n""",
    """
    INSERT INTO alert (id, key, name, status, body, changed_at, seen_at)
    SELECT i + 1, 'key ' || i, 'Disk almost full', 'closed', '{"name": "Disk almost full"}',
        :now, :now FROM numbers WHERE i < :size / 100""",
    """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        attempts, claims, cause, created_at, settled_at, config_hash, retries, not_found)
    SELECT i + 1, 1 + i % :channels, 1 + i / 100, 'open', 0, CASE WHEN i % 97 = 0 THEN 'failed'
            WHEN (i % :channels) % 10 = 3 AND i / :channels > 995 THEN 'held'
            WHEN (i % :channels) % 10 = 4 AND i / :channels > 995 THEN 'pending'
            ELSE 'delivered' END,
        :now + 86400000, :now + 172800000, 1, 0, 'The receiver answered 200 OK.', :now, :now, '',
        0, 0
    FROM numbers""",
    # The worker may send nothing: a tenth is paused, and the rest of what waits is due tomorrow.
    """
    UPDATE channel SET attempted_at = :now, proof = 'proven by delivery', proof_hash = config_hash,
        proven_at = :now, state = CASE WHEN id % 10 = 4 THEN 'paused' ELSE 'delivering' END,
        trouble = 'The receiver did not respond within 10 seconds.',
        trouble_since = CASE WHEN id % 10 = 5 THEN :now - id * 60000 END,
        failures = iif(id % 20 = 5, 50, 1)""",
    "DROP TABLE numbers",
)


def main(server: str = "sqlite") -> None:
    with started(server) as environment, tempfile.TemporaryDirectory() as folder:
        environment["TOCSIN_DATA_DIR"] = str(Path(folder, "data"))
        environment["TOCSIN_ADMIN_PASSWORD"] = PASSWORD
        start = time.perf_counter()
        prepare(environment)
        print(f"filled in {time.perf_counter() - start:.0f} s", flush=True)
        with running(**environment) as live:
            browser = Browser(live.port)
            for name, path in PAGES.items():
                measure(live, name, functools.partial(browser.get, path))
            measure_actions(browser)


@contextlib.contextmanager
def started(server: str) -> Iterator[dict[str, str]]:
    """Yield the environment of a new database."""
    if server == "sqlite":
        yield {}
    elif is_installed():
        with cluster() as running_cluster:
            yield {"TOCSIN_DATABASE_URL": running_cluster.create("bench")}


def prepare(environment: dict[str, str]) -> None:
    """Create the channels, of all kinds, and their deliveries."""
    config = Config.from_env(environment)
    app = create_app(config)
    names = list(kinds())
    with app.app_context(), db.connection_context():
        for number in range(CHANNELS):
            create_channel(config.with_keys(), number, number, URL)
            named = Channel.name == f"Channel {number}"
            Channel.update(kind=names[number % len(names)]).where(named).execute()
        parameters = {"now": now_ms(), "size": DELIVERIES, "channels": CHANNELS}
        with database.relaxed_durability(), db.atomic():
            for statement in _FILL:
                used = {
                    name: value for name, value in parameters.items() if f":{name}" in statement
                }
                db.execute_sql(statement, used)
    db.close()


def measure(live: Live, name: str, request: Callable[[], object]) -> None:
    """Print the p50 and the p95 of a page, and the CPU time that a request takes."""
    for _ in range(WARM_UP):
        request()
    before = cpu_seconds([live.process.pid])
    durations = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        request()
        durations.append((time.perf_counter() - start) * 1000)
    cpu = cpu_seconds([live.process.pid]) - before
    figure(f"{name} p50", percentile(durations, 50), "ms")
    figure(f"{name} p95", percentile(durations, 95), "ms", TARGET)
    figure(f"{name}, CPU", cpu / REQUESTS * 1000, "ms")


def measure_actions(browser: Browser) -> None:
    """Print how long an action on every channel takes; no held message is sent."""
    for name, path, form, expected in ACTIONS:
        start = time.perf_counter()
        browser.post(path, {"channel": range(1, CHANNELS + 1), **form}, expected)
        figure(name, time.perf_counter() - start, "s", MAX_SECONDS, places=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
