"""Several workers at one outbox: each delivery is sent by one of them, and none is forgotten."""

import contextlib
import os
import threading

import pytest
from databases import only_sqlite
from peewee import OperationalError
from receiver import after, reply
from workers import WORKERS, post, states, until

from clock import MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.queue import heartbeat
from delivery.queue.channel_limits import rate_limited_kinds
from delivery.queue.slots import slot_file
from delivery.queue.upkeep import ABANDONED_AFTER
from delivery.worker import BLOCKED_WAIT, CROWD
from delivery.working import work
from locks import file_lock
from models import Attempt, Channel, Delivery

# Tests about the leader are for SQLite: on PostgreSQL, it is found by a lock of the connection,
# and all workers of a test have the same connection.
LATER = WORKERS  # the number of a worker that was started with a larger TOCSIN_SENDERS


def post_many(clocks, count):
    alert = Alert.from_json({"name": "Disk full", "status": "open"})
    outbox.store([ReceivedAlert(f"k{number}", alert) for number in range(count)], clocks.now)


def ids(receiver):
    return [request.headers["webhook-id"] for request in receiver.requests]


def test_two_workers_share_a_backlog_and_send_each_delivery_once(make, channel, clocks, receiver):
    for _ in range(3):
        channel()
    first, second = make(0), make(1)
    post_many(clocks, 40)
    until(first, lambda: Attempt.select().count() == 120, others=[second])
    assert len(ids(receiver)) == len(set(ids(receiver))) == 120
    assert {row.sender for row in Delivery.select()} == {0, 1}
    assert {row.state for row in Delivery.select()} == {"delivered"}


def test_a_closing_does_not_overtake_an_opening_that_another_worker_sends(
    make, channel, clocks, receiver, gate
):
    channel()
    receiver.script = after(gate, reply(200))
    post(clocks)
    first, second = make(0), make(1)
    first.run_once(0)
    assert receiver.wait_for(1)
    post(clocks, status="closed")
    clocks.move(1)
    assert second.run_once(0) == 0
    gate.set()
    until(first, states("delivered", "delivered"))
    assert [b'"status":"closed"' in request.body for request in receiver.requests] == [False, True]


def test_waiting_for_another_worker_is_no_busy_loop(make, channel, clocks, receiver, gate):
    channel()
    receiver.script = after(gate, reply(200))
    post(clocks)
    first, second = make(0), make(1)
    first.run_once(0)
    post(clocks, status="closed")
    second.run_once(0)
    assert second._wait_seconds(1.0) == BLOCKED_WAIT
    gate.set()
    until(first, states("delivered", "sending"))
    until(first, states("delivered", "delivered"), others=[second])


def test_a_worker_takes_over_its_own_deliveries_only(make, channel, clocks, receiver, gate):
    channel(), channel()
    receiver.script = after(gate, reply(200))
    for number in (0, 1):
        post(clocks, str(number))
        make(number).run_once(0)
    rows = Delivery.select().order_by(Delivery.id)
    assert [(row.state, row.sender) for row in rows] == [("sending", 0)] * 2 + [("sending", 1)] * 2
    make(1)
    assert [row.state for row in rows.clone()] == ["sending", "sending", "pending", "pending"]


def test_a_crash_makes_only_the_messages_of_that_worker_suspect(make, channel, clocks, gate):
    channel(), channel()
    for number in (0, 1):
        post(clocks, str(number))
        outbox.claim(clocks.now, max_count=2, room={}, sender=number)
    outbox.take_over(clocks.now, crashed=True, sender=1)
    assert [row.claims for row in Delivery.select().order_by(Delivery.id)] == [0, 0, 1, 1]


@only_sqlite
def test_what_a_worker_left_behind_that_is_not_started_again_is_taken_over(
    make, channel, clocks, receiver, config
):
    channel()
    post(clocks)
    outbox.claim(clocks.now, max_count=1, room={}, sender=LATER)
    leader = make(0)
    with file_lock(heartbeat.lock_path(config.data_dir, LATER)):  # it is still running
        for _ in range(3):
            clocks.move(ABANDONED_AFTER)
            leader.run_once(0)
    assert states("sending")()
    leader.run_once(0)
    clocks.move(1)
    leader.run_once(0)
    assert states("sending")()  # its supervisor may be about to start it again
    clocks.move(ABANDONED_AFTER)
    until(leader, states("delivered"))
    assert len(receiver.requests) == 1


@only_sqlite
def test_what_a_worker_with_a_supervisor_has_under_way_is_left_to_it(make, channel, clocks):
    channel()
    post(clocks)
    outbox.claim(clocks.now, max_count=1, room={}, sender=1)
    leader = make(0)
    for _ in range(3):
        clocks.move(ABANDONED_AFTER + 1)
        leader.run_once(0)
    assert states("sending")()


@only_sqlite
def test_one_worker_alone_sends_to_a_vendor_with_a_rate_limit(make, channel, clocks, receiver):
    assert {"slack", "telegram"} <= set(rate_limited_kinds())
    number = channel(kind="slack")
    post(clocks)
    leader, other = make(0), make(1)
    other.run_once(0)
    other.run_once(0)
    assert other._wait_seconds(1.0) == 1.0  # for others, nothing is due
    assert states("pending")()
    receiver.script = reply(200, b"ok")
    until(leader, states("delivered"))
    assert Channel.get_by_id(number).state == "delivering"


@only_sqlite
def test_only_the_leader_closes_alerts_that_are_overdue(make, channel, clocks):
    channel()
    alert = Alert.from_json({"name": "Disk full", "status": "open"})
    outbox.store([ReceivedAlert("k", alert, closes_at=clocks.now + MINUTE)], clocks.now)
    clocks.move(61)
    outbox.report_listening(clocks.now, max_gap=0)
    leader, other = make(0), make(1)
    other.run_once(0)
    assert Delivery.select().where(Delivery.event == "closed").count() == 0
    leader.run_once(0)
    until(leader, lambda: Delivery.select().where(Delivery.event == "closed").count() == 1)


@pytest.mark.parametrize(("count", "calls"), [(1, False), (CROWD, True)])
def test_a_worker_calls_the_others_when_much_is_due(make, channel, clocks, count, calls):
    called = []
    worker = make(0, on_crowd=lambda: called.append(1))
    for _ in range(count):
        channel()
    post(clocks)
    worker.run_once(0)
    assert bool(called) == calls


@pytest.mark.parametrize("begins", [True, False])
def test_a_worker_that_has_ended_leaves_no_file_open(app, config, monkeypatch, begins):
    stop = threading.Event()
    beats = []

    def beat():
        beats.append(1)
        if len(beats) > 1:
            stop.set()

    def fail(*_):
        raise OperationalError("database is locked")

    if not begins:
        monkeypatch.setattr(outbox, "take_over", fail)
        monkeypatch.setattr(stop, "wait", lambda _: None)
    work(config, stop, beat)
    assert len(beats) == 2
    assert str(slot_file(config.data_dir, 0, "making")) not in open_files()


def open_files():
    for file in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{file}")
