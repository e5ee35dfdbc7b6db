"""Rare orders of events: groups, flapping alerts, pauses, fallbacks, clocks that jump."""

import json
import threading

import pytest
from cpu_time import cpu_time
from receiver import Receiver, reply
from workers import post, until, work

from clock import DAY, HOUR, MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.content.group_text import text_of_group
from delivery.installation import Installation
from delivery.outbox import HeldChoice
from delivery.queue.message_builder import events_of
from delivery.secrets.encryption import Keyring
from delivery.settings import Header, Settings, write_settings
from models import Alert as AlertRow
from models import Channel, Delivery, GroupMessage, Notification, Silence

TEMPLATE = json.dumps({"event": "{{ message.event }}", "status": "{{ alert.status }}"})
PAGERDUTY = {"kind": "pagerduty", "options": (Header("routing_key", "r" * 32, True),)}


def sent(receiver):
    messages = [json.loads(request.body) for request in receiver.requests]
    return [(message["event"], message["status"]) for message in messages]


def flap(worker, clocks, *statuses):
    for status in statuses:
        post(clocks, status=status)
        work(worker, clocks, 1)


# --- 1: the worker stops for good ---


def test_a_group_message_in_flight_is_not_pruned(channel, clocks):
    channel(columns={"group_by": "cluster"})
    post(clocks, labels={"cluster": "eu"})
    (message,) = outbox.claim(clocks.now, max_count=8, room={})
    for _ in outbox.prune(clocks.now + 31 * DAY, 30, 100_000):
        pass
    assert GroupMessage.select().where(GroupMessage.id == message.id).exists()


def test_the_worker_goes_on_after_the_clock_jumped_while_a_group_message_was_sent(
    make, channel, clocks, receiver
):
    channel(columns={"group_by": "cluster"}, timeout=30)
    worker = make()
    work(worker, clocks)
    released = threading.Event()

    def late(*connection):
        released.wait(10)
        reply(200)(*connection)

    receiver.script = late
    post(clocks, "a", labels={"cluster": "eu"})
    worker.run_once(0.02)
    clocks.wall += 31 * 24 * 3600  # the clock was a month behind
    clocks.monotonic += 61
    for _ in range(20):
        clocks.move(1)
        worker.run_once(0.02)
    released.set()
    post(clocks, "b", labels={"cluster": "us"})
    for _ in range(60):
        worker.run_once(0.05)
    assert [row.state for row in Delivery.select().order_by(Delivery.id)] == ["delivered"] * 2


# --- 2: flapping ---


def test_the_end_of_a_flapping_alert_is_sent_after_the_clock_was_set_back(
    make, channel, clocks, receiver
):
    channel(kind="custom", body=TEMPLATE)
    worker = make()
    flap(worker, clocks, "open", "closed", "open", "closed", "open", "closed")
    assert sent(receiver)[-1] == ("flapping", "open")
    clocks.wall -= 24 * 3600
    work(worker, clocks, 1)
    for _ in range(15):
        work(worker, clocks, 60)
    assert sent(receiver)[-1] == ("status-changed", "closed")


@pytest.mark.parametrize("damaged", ["[1e999]", "[1e30]"])
def test_a_damaged_time_of_a_change_does_not_end_the_worker(
    make, channel, clocks, receiver, damaged
):
    channel(kind="custom", body=TEMPLATE)
    worker = make()
    flap(worker, clocks, "open", "closed", "open", "closed", "open")
    Notification.update(changes=damaged).execute()
    work(worker, clocks, 601)
    post(clocks, status="closed")
    work(worker, clocks, 601)


def test_a_silence_that_stops_a_flapping_report_does_not_delay_the_resolution(
    make, channel, clocks, receiver
):
    channel(kind="custom", body=TEMPLATE)
    worker = make()
    for severity in ("critical", "warning", "critical", "warning"):
        post(clocks, labels={"severity": severity})
        work(worker, clocks, 1)
    receiver.script = reply(503)
    post(clocks, labels={"severity": "critical"})
    work(worker, clocks, 1)
    assert Delivery.select().order_by(Delivery.id.desc()).first().flapping
    post(clocks, status="closed")
    work(worker, clocks, 1)
    receiver.script = reply(200)
    Silence.create(
        matchers="severity=critical",
        reason="x",
        made_by="ada",
        created_at=clocks.now,
        until=clocks.now + 24 * HOUR,
    )
    outbox.apply_silences(clocks.now)
    for _ in range(30):
        work(worker, clocks, 60)
    assert sent(receiver)[-1] == ("status-changed", "closed")


# --- 3: pausing ---


def test_a_repeat_interval_survives_a_pause_that_drops(make, channel, clocks, receiver):
    number = channel(kind="custom", body=TEMPLATE, columns={"repeat_minutes": 5})
    worker = make()
    post(clocks)
    work(worker, clocks)
    outbox.pause(number, True, clocks.now)
    for _ in range(6):
        work(worker, clocks, 60)
    outbox.resume(number, HeldChoice.ALL, "ada", clocks.now)
    for _ in range(30):
        work(worker, clocks, 60)
    assert sent(receiver).count(("recurring", "open")) >= 5


# --- 4: fallback ---


@pytest.fixture
def fallback_receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_closing_the_alert_about_a_channel_sends_no_second_opening(
    make, channel, clocks, receiver, fallback_receiver
):
    fallback = channel(fallback_receiver.url, kind="custom", body=TEMPLATE)
    broken = channel(columns={"matchers": 'to="broken"', "fallback_id": fallback})
    Channel.update(matchers='to="fallback"').where(Channel.id == fallback).execute()
    receiver.script = reply(503)
    worker = make()
    post(clocks, labels={"to": "broken"})
    work(worker, clocks)
    for _ in range(11):
        work(worker, clocks, 60)
    assert sent(fallback_receiver) == [("created", "open")]
    row = AlertRow.get(AlertRow.key == f"tocsin:channel:{broken}")
    outbox.close_alert(row.id, clocks.now)
    for _ in range(5):
        work(worker, clocks, 60)
    assert sent(fallback_receiver)[1:] == [("status-changed", "closed")]


def test_the_fallback_is_notified_once_also_with_a_repeat_interval(
    make, channel, clocks, receiver, fallback_receiver
):
    columns = {"matchers": 'to="fallback"', "repeat_minutes": 5}
    fallback = channel(fallback_receiver.url, kind="custom", body=TEMPLATE, columns=columns)
    channel(columns={"matchers": 'to="broken"', "fallback_id": fallback})
    receiver.script = reply(503)
    worker = make()
    post(clocks, labels={"to": "broken"})
    work(worker, clocks)
    for _ in range(30):
        work(worker, clocks, 60)
    assert len(sent(fallback_receiver)) == 1


class Trouble:
    """A channel whose receiver is busy, its fallback, and the worker."""

    def __init__(self, make, channel, clocks, receiver, fallback_receiver):
        columns = {"matchers": 'to="fallback"'}
        fallback = channel(fallback_receiver.url, kind="custom", body=TEMPLATE, columns=columns)
        self.broken = channel(columns={"matchers": 'to="broken"', "fallback_id": fallback})
        receiver.script = reply(503)
        self.worker = make()
        post(clocks, labels={"to": "broken"})
        work(self.worker, clocks)
        work(self.worker, clocks, 60)
        receiver.script = reply(200)


def test_the_time_of_a_pause_does_not_count_for_the_fallback(
    make, channel, clocks, receiver, fallback_receiver
):
    trouble = Trouble(make, channel, clocks, receiver, fallback_receiver)
    outbox.pause(trouble.broken, False, clocks.now)
    for _ in range(30):
        work(trouble.worker, clocks, 60)
    outbox.resume(trouble.broken, HeldChoice.ALL, "ada", clocks.now)
    for _ in range(5):
        work(trouble.worker, clocks, 60)
    assert Channel.get_by_id(trouble.broken).trouble_since is None
    assert sent(fallback_receiver) == []


def test_the_time_without_tocsin_does_not_count_for_the_fallback(
    make, channel, clocks, receiver, fallback_receiver
):
    trouble = Trouble(make, channel, clocks, receiver, fallback_receiver)
    clocks.move(3600)
    worker = make()
    for _ in range(5):
        work(worker, clocks, 60)
    assert Channel.get_by_id(trouble.broken).trouble_since is None
    assert sent(fallback_receiver) == []


def test_a_fallback_message_that_failed_is_due_again_after_the_clock_was_set_back(
    make, channel, clocks, receiver, fallback_receiver
):
    trouble = Trouble(make, channel, clocks, receiver, fallback_receiver)
    receiver.script = reply(503)
    fallback_receiver.script = reply(400)
    for _ in range(11):
        work(trouble.worker, clocks, 60)
    assert fallback_receiver.requests
    count = len(fallback_receiver.requests)
    fallback_receiver.script = reply(200)
    clocks.wall -= 24 * 3600
    for _ in range(40):
        work(trouble.worker, clocks, 60)
    assert len(fallback_receiver.requests) > count


def test_a_minute_of_a_thousand_channels_in_trouble_costs_the_worker_little(make, channel, clocks):
    fallback = channel()
    for _ in range(1000):
        channel(columns={"fallback_id": fallback, "matchers": 'x="y"'})
    trouble = {"trouble_since": clocks.now - 11 * MINUTE, "trouble": "x"}
    Channel.update(trouble).where(Channel.id != fallback).execute()
    outbox.notify_fallbacks(clocks.now, "")
    clocks.move(61)
    with cpu_time() as spent:
        outbox.notify_fallbacks(clocks.now, "")
    assert spent.seconds < 0.3


# --- 5: groups ---


def test_a_damaged_wait_of_a_group_does_not_lose_alerts(make, channel, clocks, receiver):
    channel(columns={"group_by": "cluster", "group_wait": 2**62})
    post(clocks)


def _edit(config, number, **settings):
    row = Channel.get_by_id(number)
    row.version += 1
    row.updated_at += 1
    write_settings(
        row, Settings(timeout=5, **settings), Keyring(config.encryption_keys), config.secret_key
    )
    row.save()
    outbox.separate(number)  # as the editor does


def test_a_backlog_is_not_combined_once_the_channel_is_one_of_pagerduty(
    make, channel, clocks, receiver, config
):
    number = channel(kind="slack")
    worker = make()
    post(clocks, "first")
    work(worker, clocks)
    _edit(config, number, url=receiver.url, **PAGERDUTY)
    for index in range(30):
        post(clocks, f"k{index}", name=f"n{index}")
    receiver.script = reply(202, b'{"status": "success"}')
    work(worker, clocks, 5)
    assert not GroupMessage.select().count()


def test_an_incident_of_a_digest_is_resolved_after_an_edit_to_pagerduty(
    make, channel, clocks, receiver, config
):
    number = channel(kind="slack")
    outbox.pause(number, False, clocks.now)
    post(clocks, "a")
    post(clocks, "b", name="b")
    outbox.resume(number, HeldChoice.DIGEST, "ada", clocks.now)
    _edit(config, number, url=receiver.url, **PAGERDUTY)
    receiver.script = reply(202, b'{"status": "success"}')
    worker = make()
    work(worker, clocks, 1)
    post(clocks, "a", status="closed")
    post(clocks, "b", name="b", status="closed")
    work(worker, clocks, 5)
    events = [json.loads(request.body) for request in receiver.requests]
    triggered = {e["dedup_key"] for e in events if e["event_action"] == "trigger"}
    resolved = {e["dedup_key"] for e in events if e["event_action"] == "resolve"}
    assert triggered == resolved


def test_the_summary_counts_every_open_alert_of_a_group(make, channel, clocks, receiver):
    channel(columns={"group_by": "cluster"})
    for index in range(600):
        post(clocks, f"k{index}", name=f"n{index}", labels={"cluster": "eu"})
    worker = make()
    until(worker, lambda: Delivery.select().where(Delivery.state == "delivered").count() == 600)
    post(clocks, "new", name="new", labels={"cluster": "eu"})
    (message,) = outbox.claim(clocks.now, max_count=8, room={})
    settings = Settings(url=receiver.url)
    text = text_of_group(
        events_of(message), message.group_key, settings, Installation(), message.unlisted
    )
    assert "601 open" in text.title


def test_no_incident_is_resolved_while_an_alert_of_its_group_is_due(
    make, channel, clocks, receiver
):
    channel(columns={"group_by": "cluster"}, **PAGERDUTY)
    receiver.script = reply(202, b'{"status": "success"}')
    worker = make()
    critical = {"cluster": "eu", "severity": "critical"}
    for index in range(1000):
        post(clocks, f"k{index}", name=f"n{index}", labels=critical)
    until(worker, lambda: Delivery.select().where(Delivery.state == "accepted").count() == 1000)
    count = len(receiver.requests)
    clocks.move(60)
    post(clocks, "warn", name="warn", labels={"cluster": "eu", "severity": "warning"})
    for index in range(1000):
        post(clocks, f"k{index}", name=f"n{index}", labels=critical, status="closed")
    work(worker, clocks, 1)
    actions = [json.loads(request.body)["event_action"] for request in receiver.requests[count:]]
    assert "resolve" not in actions


def _refusing(refuses, status):
    """Return a script that refuses some bodies with a status, as every proxy may."""

    def script(receiver, connection):
        body = receiver.requests[-1].body
        reply(status if refuses(body) else 200)(receiver, connection)

    return script


@pytest.mark.parametrize(
    ("refuses", "status"),
    [(lambda body: len(body) > 1024 * 1024, 413), (lambda body: b"n7" in body, 400)],
    ids=["too large for nginx", "one alert is refused"],
)
def test_a_refused_message_of_a_group_does_not_lose_the_alerts_that_the_receiver_takes(
    make, channel, clocks, receiver, refuses, status
):
    count = 1000 if status == 413 else 5
    channel(columns={"group_by": "cluster"})
    alerts = []
    for index in range(count):
        annotations = {"summary": "The disk is full", "description": "x" * 800}
        labels = {"cluster": "eu"}
        name = f"n{index + 3}"
        alert = Alert(name=name, labels=labels, annotations=annotations)
        alerts.append(ReceivedAlert(f"k{index}", alert))
    receiver.script = _refusing(refuses, status)
    worker = make()
    for _ in range(10):  # the source sends them again every minute
        outbox.store(alerts, clocks.now)
        work(worker, clocks, 60)
    notified = Notification.select().where(Notification.notified_id.is_null(False)).count()
    assert notified >= count - 1
