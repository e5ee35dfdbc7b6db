"""Workers on the database of a test, with clocks that only the test moves."""

import contextlib
import threading
from dataclasses import replace

import pytest

import database
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import store
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, write_settings
from delivery.worker import Worker
from models import Channel, Delivery, db

WORKERS = 2  # of an installation


class Clocks:
    """A wall clock and a monotonic clock that only a test moves."""

    def __init__(self):
        self.wall = 1_790_000_000.0
        self.monotonic = 100.0

    def move(self, seconds):
        self.wall += seconds
        self.monotonic += seconds

    @property
    def now(self):
        return int(self.wall * 1000)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def gate():
    """Yield an event that receivers may wait for; it is set at the end."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def make(app, config, clocks):
    """Create workers as if each were a new process on the same database."""
    made = []

    def make(number=0, **options):
        worker = Worker(
            replace(config, senders=WORKERS),
            number,
            clock=lambda: clocks.wall,
            monotonic=lambda: clocks.monotonic,
            rng=lambda: 0.5,
            **options,
        )
        worker.begin()
        made.append(worker)
        return worker

    db.connect(reuse_if_open=True)
    yield make
    for worker in made:
        worker._runs.pool.shutdown(wait=False, cancel_futures=True)
        worker.close()


@contextlib.contextmanager
def numbers_taken(config, numbers):
    """Hold the numbers of workers, as their own connections to a server do."""
    if not db.is_shared:
        yield
        return
    other = database.postgresql.database_of(config.database)
    with other.connection_context():
        assert all(map(other.take_number, numbers))
        yield


@pytest.fixture
def channel(app, config, clocks, receiver):
    """Create channels, with the URL of the receiver by default."""
    keyring = Keyring(config.encryption_keys)

    def channel(url=None, columns=None, **settings):
        name = f"C{Channel.select().count()}"
        row = Channel.create(name=name, kind="", created_at=1, updated_at=1, **(columns or {}))
        write_settings(
            row,
            Settings(url=url or f"{receiver.url}", **{"timeout": 5, **settings}),
            keyring,
            config.secret_key,
        )
        row.save()
        return row.id

    db.connect(reuse_if_open=True)
    return channel


def post(clocks, key="k", status="open", **parts):
    return store(
        [ReceivedAlert(key, Alert.from_json({"name": "Disk full", "status": status, **parts}))],
        clocks.now,
    )


def until(worker, done, rounds=400, others=()):
    """Run rounds of the worker, and of others, until `done()` is true."""
    for _ in range(rounds):
        if done():
            return
        worker.run_once(0.05)
        for other in others:
            other.run_once(0)
    raise AssertionError([(row.state, row.cause) for row in Delivery.select()])


def work(worker, clocks, seconds=0.0):
    """Let the worker come to rest after a time."""
    clocks.move(seconds)
    come_to_rest(worker)


def come_to_rest(worker):
    """Run rounds of the worker with its upkeep until nothing is due or under way."""
    for _ in range(100):
        worker._upkeep.ran_at = float("-inf")
        started = worker.run_once(0.05 if worker._in_flight else 0)
        if not started and not worker._in_flight:
            return
    raise AssertionError("the worker does not come to rest")


def states(*wanted):
    return lambda: [row.state for row in Delivery.select().order_by(Delivery.id)] == list(wanted)
