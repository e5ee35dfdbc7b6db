"""Runs: a receiver that accepts messages at once gets many in one seat."""

import pytest
from receiver import after, reply
from workers import post, until

from delivery.queue import channel_limits
from models import Channel, Delivery

WAITING = 10


def delivered(count):
    return lambda: Delivery.select().where(Delivery.state == "delivered").count() == count


def after_one_delivery(make, channel, clocks):
    """Return a worker that knows how quick the receiver of a channel is."""
    channel()
    post(clocks, "first")
    worker = make()
    until(worker, delivered(1))
    return worker


@pytest.fixture
def worker(make, channel, clocks, receiver, gate, monkeypatch):
    """A worker that has begun a run of ten messages, the first of which waits for the gate."""
    # On a busy machine too:
    monkeypatch.setattr(channel_limits, "MAX_RUN_SECONDS", 5.0)
    monkeypatch.setattr(channel_limits, "RUN_AHEAD", 100.0)
    worker = after_one_delivery(make, channel, clocks)
    receiver.script = after(gate, reply(200))
    for number in range(WAITING):
        post(clocks, str(number))
    worker.run_once(0)
    assert receiver.wait_for(2)
    return worker


def test_the_messages_of_a_prompt_receiver_take_one_seat(worker, gate):
    assert len(worker._runs.under_way) == 1
    assert len(worker._in_flight) == WAITING
    gate.set()
    until(worker, delivered(1 + WAITING))


def test_an_instant_receiver_gets_no_other_seat_beside_a_run(worker, clocks, monkeypatch):
    post(clocks, "another")
    monkeypatch.setattr(channel_limits, "MAX_INSTANT_SECONDS", 5.0)
    worker.run_once(0)
    assert len(worker._in_flight) == WAITING
    monkeypatch.setattr(channel_limits, "MAX_INSTANT_SECONDS", 0.0)
    worker.run_once(0)
    assert len(worker._in_flight) == WAITING + 1


def test_one_message_under_way_to_an_instant_receiver_does_not_delay_the_next_one(
    make, channel, clocks, receiver, gate, monkeypatch
):
    monkeypatch.setattr(channel_limits, "MAX_INSTANT_SECONDS", 5.0)
    worker = after_one_delivery(make, channel, clocks)
    receiver.script = after(gate, reply(200))
    for number in (1, 2):
        post(clocks, str(number))
        worker.run_once(0)
        assert len(worker._in_flight) == number


def test_the_first_messages_of_a_channel_take_a_seat_each(make, channel, clocks, receiver, gate):
    channel()
    receiver.script = after(gate, reply(200))
    for number in range(WAITING):
        post(clocks, str(number))
    worker = make()
    worker.run_once(0)
    assert len(worker._runs.under_way) == len(worker._in_flight) == 1
    gate.set()
    until(worker, delivered(WAITING))


def test_a_message_that_is_not_accepted_ends_the_run(worker, clocks, receiver, gate):
    receiver.script = reply(503)
    gate.set()
    until(worker, lambda: not worker._in_flight)
    assert len(receiver.requests) <= 3
    assert Delivery.select().where(Delivery.state == "pending").count() >= WAITING - 1


def test_the_rest_of_a_run_does_not_wait_for_a_receiver_that_has_become_slow(
    worker, clocks, receiver
):
    clocks.move(1)
    worker.run_once(0)
    assert len(worker._in_flight) == 1
    assert Delivery.select().where(Delivery.state == "pending").count() == WAITING - 1
    assert len(receiver.requests) == 2


def test_an_edit_stops_a_run_of_the_earlier_configuration(worker, clocks, receiver, gate):
    Channel.update(version=Channel.version + 1).execute()
    worker.run_once(0)
    gate.set()
    until(worker, lambda: not worker._in_flight)
    assert len(receiver.requests) == 2
    clocks.move(2)
    until(worker, delivered(1 + WAITING))
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1 + WAITING
