"""The worker: sends what is due, tries again when that is worth it, and survives whatever happens."""

import os
import threading
import time

import pytest
from peewee import OperationalError
from receiver import after, reply, silence

from clock import MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.routing import PROBE_INTERVAL, ReceivedAlert
from delivery.outbox import store
from delivery.queue import message_builder, wakeup
from delivery.queue.channel_cache import ChannelCache
from delivery.queue.worker_lock import CrashMarker, acquire_worker_lock
from delivery.secrets.encryption import Keyring
from delivery.settings import Header, Settings, write
from delivery.worker import Worker
from models import Attempt, Channel, Delivery, db

HOUR = 3600


class Clocks:
    """Both clocks, which stand still until a test moves them."""

    def __init__(self):
        self.wall, self.monotonic = 1_790_000_000.0, 100.0

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
def make(app, config, clocks):
    """Makes workers as if each were a new process on the same database."""
    made = []

    def make():
        one = Worker(
            config, clock=lambda: clocks.wall, monotonic=lambda: clocks.monotonic, rng=lambda: 0.5
        )
        one.begin()
        made.append(one)
        return one

    db.connect(reuse_if_open=True)
    yield make
    for one in made:
        one._pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def channel(app, config, clocks, receiver):
    """Makes channels, to the receiver unless told otherwise."""
    notify = Keyring(config.encryption_keys)

    def channel(url=None, columns=None, **settings):
        name = f"C{Channel.select().count()}"
        row = Channel.create(name=name, kind="", created_at=1, updated_at=1, **(columns or {}))
        write_settings(
            row,
            Settings(url=url or f"{receiver.url}", **{"timeout": 5, **settings}),
            notify,
            config.secret_key,
        )
        row.save()
        return row.id

    db.connect(reuse_if_open=True)
    return channel


def owe(clocks, key="k", status="open", **parts):
    return store(
        [ReceivedAlert(key, Alert.from_json({"name": "Disk full", "status": status, **parts}))],
        clocks.now,
    )


def until(one, done, turns=400):
    """Turns until it is done; each waits for what is under way, and for nothing else."""
    for _ in range(turns):
        if done():
            return
        one.run_once(0.05)
    raise AssertionError([(row.state, row.cause) for row in Delivery.select()])


def states(*wanted):
    return lambda: [row.state for row in Delivery.select().order_by(Delivery.id)] == list(wanted)


def bodies(receiver):
    return [request.body for request in receiver.requests]


# --- what is due ---------------------------------------------------------------------------------------------------------


def test_a_delivery_is_sent_once_and_written_down_with_its_attempt(make, channel, clocks, receiver):
    channel()
    [stored] = owe(clocks)
    until(make(), states("delivered"))
    assert [request.headers["webhook-id"] for request in receiver.requests] == list(
        stored.deliveries
    )
    assert receiver.requests[0].headers["X-Delivery-Attempt"] == "1"
    [attempt] = Attempt.select()
    assert (attempt.verdict, attempt.number, attempt.purpose, attempt.status) == (
        "delivered",
        1,
        "delivery",
        200,
    )
    assert Channel.get().proven == "proven by delivery"


def test_every_retry_carries_the_same_id_and_body_and_the_number_of_the_attempt(
    make, channel, clocks, receiver
):
    channel()
    receiver.script = reply(503)
    owe(clocks, annotations={"summary": "first"})
    one = make()
    until(one, states("pending"))
    for number, step in enumerate((10, 30, 120), start=2):
        until(one, lambda number=number: Attempt.select().count() == number - 1)
        clocks.move(step - 1)
        one.run_once(0)
        assert len(receiver.requests) == number - 1
        owe(clocks, annotations={"summary": f"changed {number}"})
        clocks.move(2)
        until(one, lambda number=number: Attempt.select().count() == number)
    assert (
        len(set(bodies(receiver)))
        == len({request.headers["webhook-id"] for request in receiver.requests})
        == 1
    )
    assert [request.headers["X-Delivery-Attempt"] for request in receiver.requests] == [
        "1",
        "2",
        "3",
        "4",
    ]


def test_a_receiver_is_asked_again_no_sooner_than_it_asked(make, channel, clocks, receiver):
    channel()
    receiver.script = reply(429, Retry_After="120")
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    row = Delivery.get()
    assert row.due_at == clocks.now + 120_000
    assert "The receiver asked for 120 s." in row.cause


@pytest.mark.parametrize(
    ("answer", "state"), [(404, "failed"), (410, "failed"), (302, "failed"), (202, "delivered")]
)
def test_what_no_retry_can_mend_is_not_tried_again(make, channel, clocks, receiver, answer, state):
    channel()
    receiver.script = reply(answer)
    owe(clocks)
    until(make(), states(state))
    assert Channel.get().state == ("failing" if answer == 410 else "delivering")


def test_after_the_last_step_it_has_failed_and_says_so(make, channel, clocks, receiver):
    channel(columns={"retries": "1s"})
    receiver.script = reply(500)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    clocks.move(2)
    until(one, states("failed"))
    assert "That was the last attempt, number 2." in Delivery.get().cause


def test_a_delivery_lives_for_a_day(make, channel, clocks, receiver):
    channel(columns={"retries": "9h, 9h, 9h"})
    receiver.script = reply(500)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    for attempt in (2, 3):
        clocks.move(9 * HOUR + 1)
        until(one, lambda attempt=attempt: Attempt.select().count() == attempt)
    assert states("failed")()
    assert "It expires before" in Delivery.get().cause


def test_a_probe_of_a_failing_channel_keeps_the_delivery_until_it_arrives(
    make, channel, clocks, receiver
):
    channel()
    receiver.script = reply(410)
    owe(clocks, "first")
    one = make()
    until(one, states("failed"))
    owe(clocks, "second")
    clocks.move(PROBE_INTERVAL / 1000 + 2)
    until(one, lambda: len(receiver.requests) == 2)
    until(one, states("failed", "held"))
    receiver.script = reply(200)
    clocks.move(PROBE_INTERVAL / 1000 + 2)
    until(one, states("failed", "delivered"))
    assert Channel.get().state == "delivering"


def test_a_secret_in_a_body_is_sealed_while_it_waits(make, channel, clocks, receiver):
    channel(
        kind="pagerduty", options=(Header("routing_key", "s3cr3t-routing-key-of-32-letters", True),)
    )
    receiver.script = reply(503)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    assert Delivery.get().body.startswith("gAAAA")
    clocks.move(11)
    until(one, lambda: len(receiver.requests) == 2)
    assert b"s3cr3t-routing-key" in bodies(receiver)[0]
    assert len(set(bodies(receiver))) == 1


def test_a_signature_in_a_body_is_fresh_at_every_attempt(make, channel, clocks, receiver):
    channel(kind="feishu", options=(Header("secret", "s3cr3t", True),))
    receiver.script = reply(503)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    clocks.move(HOUR)
    until(one, lambda: len(receiver.requests) == 2)
    assert len(set(bodies(receiver))) == 2


def test_a_vendors_pace_is_kept(make, channel, clocks, receiver):
    channel(kind="wecom", options=(Header("key", "k", True),))  # twenty a minute
    receiver.script = reply(200, b'{"errcode": 0}')
    for number in range(25):
        owe(clocks, str(number))
    one = make()
    until(one, lambda: len(receiver.requests) == 20)
    for _ in range(20):
        one.run_once(0.01)
    assert len(receiver.requests) == 20
    clocks.move(62)
    until(one, lambda: Delivery.select().where(Delivery.state == "delivered").count() == 25)
    assert {row.attempts for row in Delivery.select()} == {1}


def test_a_damaged_channel_is_tried_again_and_takes_nothing_with_it(
    make, channel, clocks, receiver
):
    broken = channel()
    channel()
    Channel.update(sealed="nonsense").where(Channel.id == broken).execute()
    owe(clocks)
    until(make(), lambda: Attempt.select().count() == 2)
    assert states("pending", "delivered")()
    assert "cannot be decrypted" in Attempt.select().where(Attempt.channel == broken).get().says


def test_a_deleted_channel_takes_its_deliveries_with_it_also_while_one_is_sent(
    make, channel, clocks, receiver
):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel()
    owe(clocks)
    one = make()
    one.run_once(0)
    assert receiver.wait_for(1)
    Channel.delete().execute()
    gate.set()
    until(one, lambda: not one._in_flight)
    assert Delivery.select().count() == Attempt.select().count() == 0


def test_a_channel_that_is_deleted_between_the_claim_and_the_sending_is_no_obstacle(
    make, channel, clocks, receiver, monkeypatch
):
    channel(columns={"matchers": 'to="gone"'})
    channel(columns={"matchers": 'to="here"'})
    owe(clocks, "a", labels={"to": "gone"})
    owe(clocks, "b", labels={"to": "here"})
    one, claim = make(), outbox.claim

    def claim_and_delete(*arguments, **options):
        found = claim(*arguments, **options)
        Channel.delete().where(Channel.matchers == 'to="gone"').execute()
        return found

    monkeypatch.setattr(outbox, "claim", claim_and_delete)
    until(one, states("delivered"))
    assert not one._in_flight


# --- isolation -------------------------------------------------------------------------------------------------------------


def test_receivers_that_hang_hold_up_nobody_else(make, channel, clocks, receiver):
    from receiver import Receiver

    hanging = Receiver()
    hanging.script = silence
    try:
        for _ in range(10):
            channel(hanging.url, columns={"matchers": 'to="hang"'}, timeout=1)
        channel(columns={"matchers": 'to="good"'})
        for number in range(40):
            owe(clocks, f"h{number}", labels={"to": "hang"})
        for number in range(40):
            owe(clocks, f"g{number}", labels={"to": "good"})
        began, one = time.monotonic(), make()
        until(one, lambda: len(receiver.requests) == 40)
        assert time.monotonic() - began < 1
    finally:
        hanging.close()


def test_a_channel_that_cannot_be_reached_gets_one_attempt_at_a_time(make, channel, clocks):
    from conftest import free_port

    channel(f"http://127.0.0.1:{free_port()}/")
    for number in range(12):
        owe(clocks, str(number))
    one = make()
    until(one, lambda: Attempt.select().count() == 4)
    assert one.run_once(0) <= 1


# --- what goes wrong ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        "move_with_clock",
        "store_bodies",
        "settle",
        "claim",
        "release_claim",
        "next_due",
        "sweep",
        "close_overdue",
    ],
)
def test_a_database_that_cannot_be_used_for_a_while_loses_nothing(
    make, channel, clocks, receiver, monkeypatch, broken
):
    channel()
    owe(clocks)
    one, real = make(), getattr(outbox, broken)

    def refuse(*_args, **_kwargs):
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(outbox, broken, refuse)
    monkeypatch.setattr(one, "_wait_seconds", lambda _patience: 0.01)
    for number in range(20):
        clocks.wall += 60 * (number == 5)
        one.run_once(0.01)
    monkeypatch.setattr(outbox, broken, real)
    clocks.move(2)
    until(one, states("delivered"))
    assert len(receiver.requests) == 1


def test_a_fault_in_the_message_builder_is_one_attempt_and_no_end_of_the_worker(
    make, channel, clocks, monkeypatch
):
    channel()
    owe(clocks)

    def fault(*_args, **_kwargs):
        raise ZeroDivisionError("secret text")

    monkeypatch.setattr(message_builder, "build", fault)
    until(make(), lambda: Attempt.select().count() == 1)
    row = Attempt.get()
    assert (row.verdict, row.reason, Delivery.get().state) == ("retry", "internal_error", "pending")
    assert "secret text" not in row.says


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the worker may catch it."""


def test_a_message_that_kills_the_worker_is_parked_after_three_times_and_holds_up_nobody(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    build = message_builder.build

    def poisoned(settings, event, **kwargs):
        if event.alert.name == "poison":
            raise Killed
        return build(settings, event, **kwargs)

    def record_no_end(self, number):
        if number:
            os.pwrite(self._file, number.to_bytes(8, "big"), 0)

    monkeypatch.setattr(message_builder, "build", poisoned)
    # A killed process runs no `finally`.
    monkeypatch.setattr(CrashMarker, "record", record_no_end)
    owe(clocks, "bad", name="poison")
    for number in range(6):
        owe(clocks, str(number))
    deaths = 0
    for _ in range(4):
        one = make()
        try:
            until(one, lambda: Delivery.select().where(Delivery.state == "delivered").count() == 6)
            break
        except Killed:
            deaths += 1
    assert deaths == 3
    parked = Delivery.get(Delivery.state == "parked")
    assert "crashed the worker 3 times" in parked.cause
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 6


def test_what_was_under_way_when_the_worker_died_is_sent_again_under_the_same_id_and_body(
    make, channel, clocks, receiver
):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel()
    owe(clocks)
    make().run_once(0)
    assert receiver.wait_for(1)
    gate.set()
    until(make(), states("delivered"))
    first, again = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])
    assert again.headers["X-Delivery-Attempt"] == "2"


def test_an_attempt_that_was_cut_short_takes_no_step_of_the_schedule(
    make, channel, clocks, receiver
):
    channel(columns={"retries": "5s"})
    receiver.script = silence
    owe(clocks)
    for attempt in range(1, 5):
        make().run_once(0)
        assert receiver.wait_for(attempt)
    receiver.script = reply(503)
    until(make(), lambda: Attempt.select().count() == 1)
    assert (Delivery.get().state, Delivery.get().attempts) == ("pending", 5)


@pytest.mark.parametrize("jump", [-24 * HOUR, 24 * HOUR])
def test_a_clock_that_jumps_makes_no_hot_loop_and_nothing_late(
    make, channel, clocks, receiver, jump
):
    channel()
    receiver.script = reply(503)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    one.run_once(0)
    clocks.wall += jump
    for _ in range(10):
        one.run_once(0)
    assert Attempt.select().count() == 1
    receiver.script = reply(200)
    clocks.move(11)
    until(one, states("delivered"))


@pytest.mark.parametrize("jump", [25 * HOUR, 2 * HOUR, -25 * HOUR])
def test_a_clock_that_jumps_while_a_receiver_thinks_costs_no_time_and_no_delivery(
    make, channel, clocks, receiver, jump
):
    gate = threading.Event()
    receiver.script = after(gate, reply(503))
    channel()
    owe(clocks)
    one = make()
    one.run_once(0)
    assert receiver.wait_for(1)
    one.run_once(0)
    clocks.wall += jump
    gate.set()
    until(one, lambda: Attempt.select().count() == 1)
    row = Delivery.get()
    assert (row.state, row.due_at - clocks.now) == ("pending", 10_000)


def test_a_database_that_fails_between_the_claim_and_the_sending_leaves_nothing_behind(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    owe(clocks)
    one, refresh = make(), ChannelCache.refresh

    def refuse(*_args):
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(ChannelCache, "refresh", refuse)
    one.run_once(0)
    monkeypatch.setattr(ChannelCache, "refresh", refresh)
    monkeypatch.setattr(one, "_wait_seconds", lambda _patience: 0.01)
    one.run_once(0)
    clocks.move(2)
    until(one, states("delivered"))
    assert not one._in_flight


def test_a_machine_without_a_further_thread_delivers_later(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    owe(clocks)
    one = make()
    submit = one._pool.submit

    def refuse(*_args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(one._pool, "submit", refuse)
    one.run_once(0)
    monkeypatch.setattr(one._pool, "submit", submit)
    clocks.move(2)
    until(one, lambda: states("delivered")() or bool(clocks.move(0.1)))
    assert len(receiver.requests) == 1


def test_a_key_that_is_put_back_is_noticed(make, channel, clocks, receiver):
    here = channel()
    sealed = Channel.get_by_id(here).sealed
    Channel.update(sealed="nonsense").execute()
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    Channel.update(sealed=sealed).execute()
    clocks.move(11)
    until(one, states("delivered"))


def test_a_folder_without_pipes_is_no_obstacle(config, monkeypatch):
    monkeypatch.setattr(os, "mkfifo", lambda *_: (_ for _ in ()).throw(PermissionError()))
    wakeup.listen(config.data_dir, lambda: None)
    wakeup.notify(config.data_dir)


def test_only_one_worker_works_at_a_time(config):
    stop = threading.Event()
    assert acquire_worker_lock(config.data_dir, stop)
    waiting = threading.Thread(
        target=lambda: waited.append(acquire_worker_lock(config.data_dir, stop))
    )
    waited: list[bool] = []
    waiting.start()
    stop.set()
    waiting.join()
    assert waited == [False]


def test_what_waits_for_its_time_costs_no_turns(make, channel, clocks, receiver):
    channel()
    receiver.script = reply(503)
    owe(clocks)
    one = make()
    until(one, lambda: Attempt.select().count() == 1)
    one.run_once(0)
    assert one._wait_seconds(60.0) == pytest.approx(10, abs=1)
    outbox.snooze(Delivery.get().id, 5, clocks.now)
    assert one._wait_seconds(3600.0) == pytest.approx(5 * MINUTE / 1000, abs=1)
