"""CPU and writing time of each step, which `simulate.py` is fed with.

Only one transaction writes at a time, so its length limits what any number of processes can do.
Everything runs in this process, one step at a time: nothing waits for another. Times are those of
the CPU, which other work on the machine changes least. `costs.py postgresql` starts a server, whose
CPU counts as well. The CPU of the worker is that of a running Tocsin.
"""

import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from parts.driver import alert
from parts.figures import figure
from parts.peers import tocsin
from parts.sink import receiving
from parts.tocsin import answered, result_of
from parts.usage import cpu_seconds
from processes import workers_of

import database
from app import create_app
from clock import now_ms
from config import Config
from delivery import outbox
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, write_settings
from models import Channel, db
from web.accounts.api_tokens import create_token

URL = "https://hooks.example.com/services/t0ken"
CASES = ((1, 1), (3, 3), (100, 100), (1000, 1), (1000, 10))  # channels, and those of an alert
PER_REQUEST = 50  # alerts
DELIVERIES = 4000  # of a case
CLAIM_SIZES = (256, 8)  # as delivery/queue/seats.py has them
TRANSACTIONS = 10  # of each size
LOOKS = 50
COMMITS = 200

Clock = Callable[[], float]


def main(server: str = "sqlite") -> None:
    with started(server) as environment, tempfile.TemporaryDirectory() as root:
        clock = time.process_time if server == "sqlite" else cpu_with_server
        for channels, matched in CASES:
            folder = Path(root, f"{channels}-{matched}")
            measure({**environment(), "TOCSIN_DATA_DIR": str(folder)}, channels, matched, clock)
        measure_commits()
    if server == "sqlite":
        measure_worker()


@contextlib.contextmanager
def started(server: str) -> Iterator[Callable[[], dict[str, str]]]:
    """Yield a function that returns the environment of a new database."""
    if server == "sqlite":
        yield dict
        return
    import databases  # of the tests, which only the import of `parts` makes importable

    databases._OPTIONS = ("listen_addresses=",)  # commits wait for the disk
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.chmod(folder, 0o755)  # the server runs as another user
        cluster = databases.Cluster(folder)
        try:
            names = map("bench{}".format, itertools.count())
            yield lambda: {"TOCSIN_DATABASE_URL": cluster.create(next(names))}
        finally:
            db.close()
            cluster.stop()


def cpu_with_server() -> float:
    """Return the CPU time of this process, and of the server's process for its connection."""
    pid = db.connection().info.backend_pid
    nanoseconds = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return time.process_time() + nanoseconds / 1e9


def measure(environment: dict[str, str], channels: int, matched: int, clock: Clock) -> None:
    """Print the costs of an installation with some channels, of which some match each alert."""
    config = Config.from_env(environment)
    app = create_app(config)
    config = config.with_keys()
    post = poster(app)
    with app.app_context():
        for number in range(channels):
            create_channel(config, number, number // matched)
        teams = channels // matched
        post(-PER_REQUEST, teams)  # warm-up
        name = f"{matched} of {channels} channels"
        posts = max(1, DELIVERIES // matched // PER_REQUEST)
        with timed_store(clock) as store:
            start = time.process_time()
            for number in range(posts):
                post(number * PER_REQUEST, teams)
            cpu = time.process_time() - start
        alerts = posts * PER_REQUEST
        figure(f"{name}, ingest: CPU an alert", cpu / alerts * 1e6, "µs", places=0)
        writing = statistics.median(store) / PER_REQUEST
        figure(f"{name}, ingest: writing time an alert", writing * 1e6, "µs", places=0)
        measure_look(name)
        measure_outbox(name, channels, clock)


def poster(app) -> Callable[[int, int], None]:
    """Return a function that posts alerts, from a number on, with labels of so many teams."""
    with app.app_context():
        secret = create_token("bench", ["ingest"], None, "bench", now_ms())[1]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    client = app.test_client()

    def post(first: int, teams: int) -> None:
        alerts = []
        for number in range(first, first + PER_REQUEST):
            one = alert(number)
            one["labels"]["team"] = f"team-{number % teams}"
            alerts.append(one)
        response = client.post("/api/v1/alerts", json=alerts, headers=headers)
        assert response.status_code == 202, response.text

    return post


def create_channel(config: Config, number: int, team: int, url: str = URL) -> None:
    """Create a channel that gets the alerts of one team."""
    columns = {"kind": "webhook", "created_at": 1, "updated_at": 1, "matchers": f"team=team-{team}"}
    channel = Channel.create(name=f"Channel {number}", **columns)
    write_settings(channel, Settings(url=url), Keyring(config.encryption_keys), config.secret_key)
    channel.save()


@contextlib.contextmanager
def timed_store(clock: Clock) -> Iterator[list[float]]:
    """Yield a list that gets the seconds of each transaction of ingest."""
    durations: list[float] = []
    store = outbox.store

    def timed(*arguments, **options):
        start = clock()
        try:
            return store(*arguments, **options)
        finally:
            durations.append(clock() - start)

    outbox.store = timed
    try:
        yield durations
    finally:
        outbox.store = store


def measure_outbox(name: str, channels: int, clock: Clock) -> None:
    """Print how long the transactions of claims and of results take."""
    for size in CLAIM_SIZES:
        claims: list[float] = []
        results: list[float] = []
        room = dict.fromkeys(range(1, channels + 1), max(4, -(-size // channels)))
        for _ in range(TRANSACTIONS):
            claimed = claim(size, room, clock, claims)
            attempts = [result_of(one, answered(), now_ms()) for one in claimed]
            start = clock()
            with database.relaxed_durability():
                outbox.settle(attempts, now_ms())
            results.append(clock() - start)
        for step, durations in (("claim", claims), ("results", results)):
            each = statistics.median(durations) * 1e6
            figure(f"{name}, {step} of {size}: a transaction", each, "µs", places=0)


def measure_look(name: str) -> None:
    """Print the CPU of a look for what is due."""
    start = time.process_time()
    for _ in range(LOOKS):
        outbox.next_due(now_ms())
    each = (time.process_time() - start) / LOOKS * 1e6
    figure(f"{name}, a look for what is due: CPU", each, "µs", places=0)


def claim(size: int, room: dict[int, int], clock: Clock, durations: list[float]) -> list:
    """Return claimed deliveries, and add the duration.

    As usual, no delivery has crashed a worker: looking for one reads all that is due.
    """
    start = clock()
    with database.relaxed_durability():
        messages = outbox.claim(now_ms(), max_count=size, room=room, with_suspect=False)
    durations.append(clock() - start)
    claimed = [one for message in messages for one in message.deliveries]
    assert len(claimed) == size, f"{len(claimed)} of {size} deliveries were claimed"
    return claimed


def measure_commits() -> None:
    """Print how long a transaction with one small change takes."""
    for name, durability in (
        ("that waits for the disk", contextlib.nullcontext),
        ("that does not", database.relaxed_durability),
    ):
        start = time.perf_counter()
        for number in range(COMMITS):
            with durability(), db.atomic():
                db.execute_sql(
                    "UPDATE channel SET drops = :number WHERE id = 1", {"number": number}
                )
        each = (time.perf_counter() - start) / COMMITS * 1e6
        figure(f"a commit {name}", each, "µs", places=0)


def measure_worker() -> None:
    """Print the CPU of the worker of a running Tocsin, and of all its processes."""
    for channels in (1, 3, 100):
        alerts = -(-DELIVERIES // channels)
        with receiving() as sink, tocsin(sink, channels) as system:
            workers = workers_of(*system.pids)
            system.driver.prepare(0, alerts)
            cpu = [cpu_seconds(workers), cpu_seconds(system.pids)]
            start = system.driver.go()
            count = sink.wait_for(alerts * channels, 120)
            system.settle()
            cpu = [cpu_seconds(workers) - cpu[0], cpu_seconds(system.pids) - cpu[1]]
        name = f"{channels} of {channels} channels"
        deliveries = alerts * channels
        figure(f"{name}, worker: CPU a delivery", cpu[0] / deliveries * 1e6, "µs", places=0)
        figure(f"{name}, all: CPU a delivery", cpu[1] / deliveries * 1e6, "µs", places=0)
        rate = deliveries / (count.last_ns - start) * 1e9
        figure(f"{name}: deliveries", rate, "a second", places=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
