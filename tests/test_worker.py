"""The worker sends due deliveries, retries them, and survives failures."""

import os
import threading
import time

import pytest
from channels import row_marks
from peewee import OperationalError
from receiver import after, reply, silence
from workers import post, states, until

from clock import MINUTE
from delivery import outbox
from delivery.outbox.results import PROBE_INTERVAL
from delivery.queue import message_builder, wakeup
from delivery.queue.channel_cache import ChannelCache
from delivery.queue.crash_marker import CrashMarker
from delivery.secrets.encryption import Keyring
from delivery.settings import Header, Settings, write_settings
from models import Attempt, Channel, Delivery, Silence

HOUR = 3600


def bodies(receiver):
    return [request.body for request in receiver.requests]


# --- what is due ---


def test_a_delivery_is_sent_once_and_stored_with_its_attempt(make, channel, clocks, receiver):
    channel()
    [stored] = post(clocks)
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


def test_every_retry_has_the_same_id_and_body_and_the_number_of_the_attempt(
    make, channel, clocks, receiver
):
    channel()
    receiver.script = reply(503)
    post(clocks, annotations={"summary": "first"})
    worker = make()
    until(worker, states("pending"))
    for number, step in enumerate((10, 30, 120), start=2):
        until(worker, lambda number=number: Attempt.select().count() == number - 1)
        clocks.move(step - 1)
        worker.run_once(0)
        assert len(receiver.requests) == number - 1
        post(clocks, annotations={"summary": f"changed {number}"})
        clocks.move(2)
        until(worker, lambda number=number: Attempt.select().count() == number)
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


def test_a_retry_waits_as_long_as_the_receiver_asked(make, channel, clocks, receiver):
    channel()
    receiver.script = reply(429, Retry_After="120")
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    row = Delivery.get()
    assert row.due_at == clocks.now + 120_000
    assert "The receiver asked for 120 s." in row.cause


@pytest.mark.parametrize(
    ("answer", "state"), [(400, "failed"), (302, "failed"), (202, "delivered")]
)
def test_a_final_outcome_is_not_retried(make, channel, clocks, receiver, answer, state):
    channel()
    receiver.script = reply(answer)
    post(clocks)
    until(make(), states(state))
    assert Channel.get().state == "delivering"


def test_a_404_during_a_redeploy_is_retried_and_the_alert_arrives(make, channel, clocks, receiver):
    channel()
    receiver.script = reply(404)
    post(clocks)
    worker = make()
    for attempt in (1, 2):
        until(worker, lambda attempt=attempt: Attempt.select().count() == attempt)
        clocks.move(121)
    receiver.script = reply(200)
    until(worker, states("delivered"))


def test_an_alert_that_was_refused_is_sent_when_its_source_sends_it_again(
    make, channel, clocks, receiver
):
    channel()
    receiver.script = reply(404)
    post(clocks)
    worker = make()
    for attempt in (1, 2, 3):
        until(worker, lambda attempt=attempt: Attempt.select().count() == attempt)
        clocks.move(121)
    until(worker, states("failed"))
    receiver.script = reply(200)
    post(clocks)
    until(worker, states("failed", "delivered"))
    post(clocks, status="closed")
    until(worker, states("failed", "delivered", "delivered"))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("pagerduty", (Header("routing_key", "an-old-routing-key-of-32-letters", True),)),
        ("webhook", ()),
    ],
)
def test_a_retry_after_an_edit_is_built_for_the_new_configuration(
    make, channel, clocks, receiver, config, kind, options
):
    here = channel(kind=kind, options=options)
    receiver.script = reply(500)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    row = Channel.get_by_id(here)
    settings = Settings(url=f"{receiver.url}/new", kind="slack", timeout=5)
    write_settings(row, settings, Keyring(config.encryption_keys), config.secret_key)
    row.updated_at += 1
    row.save()
    clocks.move(11)
    until(worker, lambda: Attempt.select().count() == 2)
    clocks.move(31)
    until(worker, lambda: Attempt.select().count() == 3)
    first, second, third = receiver.requests
    assert second.path.endswith("/new")
    assert b"old-routing-key" not in second.body
    assert b"attachments" in second.body
    assert (second.body, second.headers["webhook-id"]) == (third.body, first.headers["webhook-id"])


def test_an_alert_silenced_while_it_waits_for_the_rate_limit_is_not_sent(
    make, channel, clocks, receiver
):
    # Twenty a minute: five at once, then one every three seconds.
    channel(kind="wecom", options=(Header("key", "k", True),), columns={"separate": 1})
    receiver.script = reply(200, b'{"errcode": 0}')
    for number in range(30):
        post(clocks, str(number), labels={"severity": "info"})
    worker = make()
    until(worker, lambda: len(receiver.requests) == 5)
    Silence.create(
        matchers='severity="info"',
        reason="Why not",
        made_by="ada",
        created_at=clocks.now,
        until=clocks.now + HOUR * 1000,
    )
    outbox.apply_silences(clocks.now)
    for _ in range(5):
        clocks.move(62)
        worker.run_once(0.01)
    assert len(receiver.requests) == 5
    clocks.move(HOUR)
    until(worker, lambda: len(receiver.requests) == 30 or bool(clocks.move(4)))


def test_a_delivery_fails_after_the_last_step_of_its_schedule(make, channel, clocks, receiver):
    channel(columns={"retries": "1s"})
    receiver.script = reply(500)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(2)
    until(worker, states("failed"))
    assert "That was the last attempt, number 2." in Delivery.get().cause


def test_a_delivery_expires_after_a_day(make, channel, clocks, receiver):
    channel(columns={"retries": "9h, 9h, 9h"})
    receiver.script = reply(500)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    for attempt in (2, 3):
        clocks.move(9 * HOUR + 1)
        until(worker, lambda attempt=attempt: Attempt.select().count() == attempt)
    assert states("failed")()
    assert "It expires before" in Delivery.get().cause


def test_a_channel_is_retrying_after_one_failed_attempt_and_ok_after_a_delivery(
    client, make, channel, clocks, receiver
):
    here = channel()
    receiver.script = reply(503)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    assert row_marks(client.get("/channels").text, here)["health"] == "retrying"
    assert "503" in Channel.get().trouble
    receiver.script = reply(200)
    clocks.move(11)
    until(worker, states("delivered"))
    assert row_marks(client.get("/channels").text, here)["health"] == "ok"


def test_a_failing_channel_is_probed_with_one_delivery_until_that_arrives(
    make, channel, clocks, receiver
):
    channel()
    receiver.script = reply(410)
    post(clocks, "first")
    worker = make()
    until(worker, states("held"))
    assert Channel.get().state == "failing"
    post(clocks, "second")
    clocks.move(PROBE_INTERVAL / 1000 + 2)
    until(worker, lambda: len(receiver.requests) == 2)
    until(worker, states("held", "held"))
    receiver.script = reply(200)
    clocks.move(PROBE_INTERVAL / 1000 + 2)
    until(worker, states("delivered", "delivered"))
    assert Channel.get().state == "delivering"


def test_a_stored_body_with_a_secret_is_encrypted(make, channel, clocks, receiver):
    channel(
        kind="pagerduty", options=(Header("routing_key", "s3cr3t-routing-key-of-32-letters", True),)
    )
    receiver.script = reply(503)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    assert Delivery.get().body.startswith("gAAAA")
    clocks.move(11)
    until(worker, lambda: len(receiver.requests) == 2)
    assert b"s3cr3t-routing-key" in bodies(receiver)[0]
    assert len(set(bodies(receiver))) == 1


def test_a_signature_in_a_body_is_renewed_at_every_attempt(make, channel, clocks, receiver):
    channel(kind="feishu", options=(Header("secret", "s3cr3t", True),))
    receiver.script = reply(503)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(HOUR)
    until(worker, lambda: len(receiver.requests) == 2)
    assert len(set(bodies(receiver))) == 2


def test_the_rate_limit_of_a_vendor_is_kept(make, channel, clocks, receiver):
    # Twenty a minute: five at once, then one every three seconds.
    channel(kind="wecom", options=(Header("key", "k", True),), columns={"separate": 1})
    receiver.script = reply(200, b'{"errcode": 0}')
    for number in range(25):
        post(clocks, str(number))
    worker = make()
    for count in range(5, 21):
        until(worker, lambda count=count: len(receiver.requests) == count)
        if count in (5, 6, 20):
            worker.run_once(0)
            assert len(receiver.requests) == count
        clocks.move(3)
    for _ in range(3):
        worker.run_once(0)
    assert len(receiver.requests) == 20
    clocks.move(62)
    until(worker, lambda: bool(clocks.move(3)) or states(*["delivered"] * 25)())
    assert {row.attempts for row in Delivery.select()} == {1}


def test_a_damaged_channel_is_retried_and_affects_no_other(make, channel, clocks, receiver):
    broken = channel()
    channel()
    Channel.update(sealed="nonsense").where(Channel.id == broken).execute()
    post(clocks)
    until(make(), lambda: Attempt.select().count() == 2)
    assert states("pending", "delivered")()
    assert "cannot be decrypted" in Attempt.select().where(Attempt.channel == broken).get().says


def test_a_channel_can_be_deleted_while_a_delivery_is_sent(make, channel, clocks, receiver):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel()
    post(clocks)
    worker = make()
    worker.run_once(0)
    assert receiver.wait_for(1)
    Channel.delete().execute()
    gate.set()
    until(worker, lambda: not worker._in_flight)
    assert Delivery.select().count() == Attempt.select().count() == 0


def test_a_channel_can_be_deleted_between_claim_and_sending(
    make, channel, clocks, receiver, monkeypatch
):
    channel(columns={"matchers": 'to="gone"'})
    channel(columns={"matchers": 'to="here"'})
    post(clocks, "a", labels={"to": "gone"})
    post(clocks, "b", labels={"to": "here"})
    worker = make()
    claim = outbox.claim

    def claim_and_delete(*arguments, **options):
        claimed = claim(*arguments, **options)
        Channel.delete().where(Channel.matchers == 'to="gone"').execute()
        return claimed

    monkeypatch.setattr(outbox, "claim", claim_and_delete)
    until(worker, states("delivered"))
    assert not worker._in_flight


def test_a_cached_channel_that_was_deleted_is_sent_no_more(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    post(clocks, "a")
    worker = make()
    until(worker, states("delivered"))
    post(clocks, "b")
    claim = outbox.claim

    def claim_and_delete(*arguments, **options):
        claimed = claim(*arguments, **options)
        Channel.delete().execute()
        return claimed

    monkeypatch.setattr(outbox, "claim", claim_and_delete)
    worker.run_once(0.01)
    worker.run_once(0.01)
    assert len(receiver.requests) == 1
    assert not worker._in_flight


# --- isolation ---


def test_receivers_that_hang_do_not_delay_other_channels(make, channel, clocks, receiver):
    from receiver import Receiver

    hanging = Receiver()
    hanging.script = silence
    try:
        for _ in range(10):
            channel(hanging.url, columns={"matchers": 'to="hang"'}, timeout=1)
        channel(columns={"matchers": 'to="good"'})
        for number in range(40):
            post(clocks, f"h{number}", labels={"to": "hang"})
        for number in range(40):
            post(clocks, f"g{number}", labels={"to": "good"})
        worker = make()
        began = time.monotonic()
        until(worker, lambda: len(receiver.requests) == 40)
        assert time.monotonic() - began < 1
    finally:
        hanging.close()


def test_slow_receivers_with_a_backlog_leave_seats_to_a_quick_channel(
    make, channel, clocks, receiver
):
    from receiver import Receiver

    gate = threading.Event()
    slow = [Receiver() for _ in range(3)]
    for one in slow:
        one.script = after(gate, reply(200))
    try:
        for number in range(30):
            channel(slow[number % 3].url, columns={"matchers": 'to="slow"'})
        channel(columns={"matchers": 'to="quick"'})
        for number in range(5):
            post(clocks, f"s{number}", labels={"to": "slow"})
        worker = make()
        until(worker, lambda: not worker.run_once(0))
        clocks.move(2)
        for number in range(10):
            post(clocks, f"q{number}", labels={"to": "quick"})
            until(worker, lambda number=number: len(receiver.requests) == number + 1)
        assert sum(len(one.requests) for one in slow) == 30
    finally:
        gate.set()
        for one in slow:
            one.close()


def test_waiting_for_a_slow_receiver_is_no_busy_loop(make, channel, clocks, receiver):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel()
    for number in range(5):
        post(clocks, str(number))
    worker = make()
    until(worker, lambda: not worker.run_once(0))
    assert worker._wait_seconds(60.0) == 60.0
    gate.set()
    until(worker, states(*["delivered"] * 5))


def test_an_unreachable_channel_gets_one_attempt_at_a_time(make, channel, clocks):
    from conftest import free_port

    channel(f"http://127.0.0.1:{free_port()}/")
    for number in range(12):
        post(clocks, str(number))
    worker = make()
    until(worker, lambda: Attempt.select().count() >= 2)
    assert worker.run_once(0) <= 1


# --- what goes wrong ---


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
def test_a_database_failure_loses_no_delivery(make, channel, clocks, receiver, monkeypatch, broken):
    channel()
    post(clocks)
    worker = make()
    real = getattr(outbox, broken)

    def refuse(*_args, **_kwargs):
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(outbox, broken, refuse)
    monkeypatch.setattr(worker, "_wait_seconds", lambda _timeout: 0.01)
    for number in range(20):
        clocks.wall += 60 * (number == 5)
        worker.run_once(0.01)
    monkeypatch.setattr(outbox, broken, real)
    clocks.move(2)
    until(worker, states("delivered"))
    assert len(receiver.requests) == 1


def test_an_error_in_the_message_builder_fails_one_attempt_and_not_the_worker(
    make, channel, clocks, monkeypatch
):
    channel()
    post(clocks)

    def fault(*_args, **_kwargs):
        raise ZeroDivisionError("secret text")

    monkeypatch.setattr(message_builder, "build_message", fault)
    until(make(), lambda: Attempt.select().count() == 1)
    row = Attempt.get()
    assert (row.verdict, row.reason, Delivery.get().state) == ("retry", "internal_error", "pending")
    assert "secret text" not in row.says


class Killed(BaseException):
    """Simulates SIGKILL: nothing in the worker may catch it."""


@pytest.mark.parametrize("group_by", ["", "cluster"])
def test_a_message_that_crashes_the_worker_three_times_is_parked_and_the_others_are_sent(
    make, channel, clocks, receiver, monkeypatch, group_by
):
    channel(columns={"group_by": group_by})
    build = message_builder.build_message

    def poisoned(text, **kwargs):
        if any(member.event.alert.name == "poison" for member in text.members):
            raise Killed
        return build(text, **kwargs)

    def record_no_end(self, number):
        if number:
            os.pwrite(self._file, number.to_bytes(8, "big"), 0)

    monkeypatch.setattr(message_builder, "build_message", poisoned)
    # A killed process runs no `finally`.
    monkeypatch.setattr(CrashMarker, "record", record_no_end)
    post(clocks, "bad", name="poison")
    for number in range(6):
        post(clocks, str(number))
    deaths = 0
    for _ in range(4):
        worker = make()
        try:
            until(worker, states("parked", *["delivered"] * 6))
            break
        except Killed:
            deaths += 1
    assert deaths == 3
    parked = Delivery.get(Delivery.state == "parked")
    assert "crashed the worker 3 times" in parked.cause
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 6


def test_a_delivery_in_flight_at_a_crash_is_sent_again_with_the_same_id_and_body(
    make, channel, clocks, receiver
):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel()
    post(clocks)
    make().run_once(0)
    assert receiver.wait_for(1)
    gate.set()
    until(make(), states("delivered"))
    first, again = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])
    assert again.headers["X-Delivery-Attempt"] == "2"


def test_the_crash_marker_keeps_the_messages_that_may_have_left(tmp_path):
    path = tmp_path / "worker.making"
    marker = CrashMarker(path)
    assert (marker.crashed_on, marker.sent) == (0, ())
    marker.record(7)
    marker.record_sent([1, 2**62])
    assert (CrashMarker(path).crashed_on, CrashMarker(path).sent) == (7, (1, 2**62))
    marker.record_sent([])
    assert CrashMarker(path).sent == ()


def test_only_the_body_of_a_message_that_was_not_accepted_is_stored(
    make, channel, clocks, receiver
):
    channel()
    post(clocks)
    worker = make()
    until(worker, states("delivered"))
    assert Delivery.get().body is None
    receiver.script = reply(503)
    post(clocks, "next")
    until(worker, lambda: Attempt.select().count() == 2)
    [stored] = [row.body for row in Delivery.select() if row.body]
    assert stored.encode() == receiver.requests[-1].body


def test_an_interrupted_attempt_takes_no_step_of_the_schedule(make, channel, clocks, receiver):
    channel(columns={"retries": "5s"})
    receiver.script = silence
    post(clocks)
    for attempt in range(1, 5):
        make().run_once(0)
        assert receiver.wait_for(attempt)
    receiver.script = reply(503)
    until(make(), lambda: Attempt.select().count() == 1)
    assert (Delivery.get().state, Delivery.get().attempts) == ("pending", 5)


@pytest.mark.parametrize("jump", [-24 * HOUR, 24 * HOUR])
def test_a_clock_jump_causes_neither_a_busy_loop_nor_a_delay(make, channel, clocks, receiver, jump):
    channel()
    receiver.script = reply(503)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    worker.run_once(0)
    clocks.wall += jump
    for _ in range(10):
        worker.run_once(0)
    assert Attempt.select().count() == 1
    receiver.script = reply(200)
    clocks.move(11)
    until(worker, states("delivered"))


@pytest.mark.parametrize("jump", [25 * HOUR, 2 * HOUR, -25 * HOUR])
def test_a_clock_jump_during_an_attempt_changes_neither_schedule_nor_expiry(
    make, channel, clocks, receiver, jump
):
    gate = threading.Event()
    receiver.script = after(gate, reply(503))
    channel()
    post(clocks)
    worker = make()
    worker.run_once(0)
    assert receiver.wait_for(1)
    worker.run_once(0)
    clocks.wall += jump
    gate.set()
    until(worker, lambda: Attempt.select().count() == 1)
    row = Delivery.get()
    assert (row.state, row.due_at - clocks.now) == ("pending", 10_000)


def test_a_database_failure_between_claim_and_sending_releases_the_delivery(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    post(clocks)
    worker = make()
    refresh = ChannelCache.refresh

    def refuse(*_args):
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(ChannelCache, "refresh", refuse)
    worker.run_once(0)
    monkeypatch.setattr(ChannelCache, "refresh", refresh)
    monkeypatch.setattr(worker, "_wait_seconds", lambda _timeout: 0.01)
    worker.run_once(0)
    clocks.move(2)
    until(worker, states("delivered"))
    assert not worker._in_flight


def test_a_delivery_without_a_free_thread_is_sent_later(
    make, channel, clocks, receiver, monkeypatch
):
    channel()
    post(clocks)
    worker = make()
    submit = worker._runs.pool.submit

    def refuse(*_args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker._runs.pool, "submit", refuse)
    worker.run_once(0)
    monkeypatch.setattr(worker._runs.pool, "submit", submit)
    clocks.move(2)
    until(worker, lambda: states("delivered")() or bool(clocks.move(0.1)))
    assert len(receiver.requests) == 1


def test_a_result_of_a_released_delivery_is_ignored(make, channel, clocks, receiver, monkeypatch):
    channel()
    post(clocks)
    worker = make()
    submit = worker._runs.pool.submit

    def queue_and_refuse(*arguments):
        submit(*arguments)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker._runs.pool, "submit", queue_and_refuse)
    assert worker.run_once(0) == 0
    assert receiver.wait_for(1)
    worker.run_once(0.05)
    monkeypatch.setattr(worker._runs.pool, "submit", submit)
    clocks.move(2)
    until(worker, states("delivered"))
    assert not worker._in_flight


def test_a_channel_is_read_again_when_its_key_is_back(make, channel, clocks, receiver):
    here = channel()
    sealed = Channel.get_by_id(here).sealed
    Channel.update(sealed="nonsense").execute()
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    Channel.update(sealed=sealed).execute()
    clocks.move(11)
    until(worker, states("delivered"))


def test_the_worker_runs_without_a_named_pipe(config, monkeypatch):
    monkeypatch.setattr(os, "mkfifo", lambda *_: (_ for _ in ()).throw(PermissionError()))
    wakeup.listen(config.data_dir, lambda: None)
    wakeup.notify(config.data_dir)


def test_the_worker_waits_until_the_next_delivery_is_due(make, channel, clocks, receiver):
    channel()
    receiver.script = reply(503)
    post(clocks)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    worker.run_once(0)
    assert worker._wait_seconds(60.0) == pytest.approx(10, abs=1)
    outbox.snooze(Delivery.get().id, 5, clocks.now)
    assert worker._wait_seconds(3600.0) == pytest.approx(5 * MINUTE / 1000, abs=1)
