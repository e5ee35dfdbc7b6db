"""The heartbeat for a monitor outside, which stays away when Tocsin does not deliver."""

from dataclasses import replace

import pytest
from receiver import Receiver, reply
from workers import post

from clock import MINUTE
from delivery.guard.exchange import Policy
from delivery.queue.pulse import Pulse, last_state
from delivery.worker import Worker
from models import Fact, db

SECRET = "u0id-of-the-check"


@pytest.fixture
def monitor():
    """Yield the receiver of the heartbeat."""
    monitor = Receiver()
    yield monitor
    monitor.close()


class PulseRoom:
    """A heartbeat whose calls are made at once in the thread of the test."""

    def __init__(self, config, clocks, url):
        self.clocks = clocks
        policy = Policy(config.allow)
        monotonic = lambda: clocks.monotonic  # noqa: E731
        self.pulse = Pulse(url, policy, monotonic, run_task=lambda task: task())

    def pass_seconds(self, seconds):
        for _ in range(seconds):
            self.pulse.run(self.clocks.now)
            self.clocks.move(1)


@pytest.fixture
def room(app, config, clocks, monitor):
    db.connect(reuse_if_open=True)
    return PulseRoom(config, clocks, f"{monitor.url}?{SECRET}")


def test_the_url_is_called_once_a_minute(room, monitor):
    room.pass_seconds(125)
    assert [request.method for request in monitor.requests] == ["GET"] * 3
    state = last_state()
    assert (state.accepted_at, state.problem) == (room.clocks.now - 4000, "")


def test_without_a_url_nothing_is_sent_or_stored(app, config, clocks, monitor):
    db.connect(reuse_if_open=True)
    PulseRoom(config, clocks, "").pass_seconds(5)
    assert not Fact.select().where(Fact.name == "heartbeat").exists()


def test_it_stays_away_while_a_delivery_is_overdue(room, monitor, channel, clocks, caplog):
    channel()
    post(clocks)
    clocks.move(6 * 60)
    room.pass_seconds(2)
    assert not monitor.requests
    problem = "The oldest delivery has been due for 6 minutes."
    assert last_state().problem == problem
    assert f"no heartbeat: {problem}" in caplog.text


def test_it_is_sent_while_a_delivery_has_been_due_for_less_than_5_minutes(
    room, monitor, channel, clocks
):
    channel()
    post(clocks)
    clocks.move(4 * 60)
    room.pass_seconds(2)
    assert len(monitor.requests) == 1


def test_nothing_is_sent_while_the_database_cannot_be_written(room, monitor, monkeypatch):
    def refuse(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(Fact, "store", refuse)
    with pytest.raises(OSError, match="full"):
        room.pass_seconds(1)
    assert not monitor.requests


def test_a_failure_is_logged_once_and_without_the_url(room, monitor, caplog):
    caplog.set_level("INFO")
    monitor.script = reply(500)
    room.pass_seconds(200)
    assert caplog.text.count("no heartbeat") == 1
    assert "500" in last_state().problem
    monitor.script = reply(200)
    room.pass_seconds(120)
    assert caplog.text.count("the heartbeat is accepted again") == 1
    assert last_state().problem == ""
    stored = Fact.get(Fact.name == "heartbeat").value
    assert SECRET not in caplog.text + stored
    assert "t0ken-of-the-path" not in caplog.text + stored


def test_a_private_address_must_be_allowed(app, config, clocks, monitor):
    db.connect(reuse_if_open=True)
    room = PulseRoom(replace(config, allow=()), clocks, monitor.url)
    room.pass_seconds(2)
    assert not monitor.requests
    assert "TOCSIN_ALLOW_NETWORKS" in last_state().problem


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://nowhere.invalid/x"])
def test_a_url_that_cannot_be_called_is_a_problem(app, config, clocks, url):
    db.connect(reuse_if_open=True)
    PulseRoom(config, clocks, url).pass_seconds(2)
    assert last_state().problem


def test_the_leading_worker_calls_it_and_no_other_one(app, config, clocks, monitor):
    db.connect(reuse_if_open=True)
    config = replace(config, heartbeat_url=monitor.url)
    times = {"clock": lambda: clocks.wall, "monotonic": lambda: clocks.monotonic}
    for number, expected in ((1, 0), (0, 1)):
        worker = Worker(config, number, **times)
        if db.is_shared and number:
            continue  # there, the first worker leads, whatever its number is
        worker._upkeep.errands.pulse.run_task = lambda task: task()
        worker.begin()
        worker.run_once(0)
        worker._runs.pool.shutdown(wait=False)
        worker.close()
        assert len(monitor.requests) == expected


def test_a_damaged_state_counts_for_nothing(room, monitor):
    Fact.store("heartbeat", "[")
    room.pass_seconds(2)
    assert last_state().problem == ""
    assert room.clocks.now - last_state().checked_at < MINUTE
