"""Alerts that change too often are reported once as flapping, and again when they are calm."""

import json

import pytest
from receiver import reply
from workers import post, work

from clock import MINUTE
from delivery import outbox
from models import Alert as AlertRow
from models import Delivery, Notification, Silence

TEMPLATE = json.dumps(
    {"event": "{{ message.event }}", "status": "{{ alert.status }}", "title": "{{ alert.title }}"}
)


@pytest.fixture
def flaps(make, channel, clocks, receiver):
    """Return a function that changes an alert, with a second and the worker after each change."""
    channel(kind="custom", body=TEMPLATE)
    worker = make()

    def flaps(*changes, seconds=1):
        for change in changes:
            status, _, severity = change.partition(" ")
            post(clocks, status=status, labels={"severity": severity or "warning"})
            work(worker, clocks, seconds)

    flaps.worker = worker
    return flaps


def silence_warnings(clocks):
    times = {"created_at": clocks.now, "until": clocks.now + 60 * MINUTE}
    return Silence.create(matchers="severity=warning", reason="x", made_by="ada", **times)


def events(receiver):
    """Return the event and the status of each message."""
    sent = [json.loads(request.body) for request in receiver.requests]
    return [(message["event"], message["status"]) for message in sent]


OPENED = ("created", "open")
CLOSED = ("status-changed", "closed")
FLAPPING = ("flapping", "open")
AGAIN = ("recurring", "open")


def test_more_than_four_changes_in_ten_minutes_are_reported_once(flaps, receiver):
    flaps("open", "closed", "open", "closed", "open", "closed", "open", "closed", "open")
    assert events(receiver) == [OPENED, CLOSED, OPENED, CLOSED, FLAPPING]
    assert json.loads(receiver.requests[-1].body)["title"] == "FLAPPING Disk full"


def test_four_changes_in_ten_minutes_are_reported_one_by_one(flaps, receiver):
    flaps("open", "closed", "open", "closed", seconds=151)
    flaps("open", "closed", "open", "closed", seconds=151)
    assert events(receiver) == [OPENED, CLOSED] * 4


@pytest.mark.parametrize(
    ("last", "message"), [("open", AGAIN), ("closed", CLOSED)], ids=["open", "closed"]
)
def test_after_ten_calm_minutes_the_state_is_reported(flaps, clocks, receiver, last, message):
    flaps("open", "closed", "open", "closed", "open", "closed", "open", "closed")
    flaps(last, seconds=0)
    count = len(receiver.requests)
    work(flaps.worker, clocks, 598)
    assert len(receiver.requests) == count
    work(flaps.worker, clocks, 3)
    assert events(receiver)[count:] == [message]
    work(flaps.worker, clocks, 3600)
    assert len(receiver.requests) == count + 1


def test_a_change_of_severity_counts(flaps, receiver):
    flaps("open warning", "open critical", "open warning", "open critical", "open warning")
    flaps("open critical", "open critical", "open warning")
    assert [event for event, _status in events(receiver)][-1] == "flapping"
    assert len(receiver.requests) == 5


def test_repeats_of_the_source_do_not_count(flaps, clocks, receiver):
    flaps("open", "closed", "open", "closed", *["open"] * 20)
    assert events(receiver) == [OPENED, CLOSED, OPENED, CLOSED, FLAPPING]
    work(flaps.worker, clocks, 601)
    assert events(receiver)[5:] == [AGAIN]


def test_an_alert_counts_anew_after_it_was_calm(flaps, clocks, receiver):
    flaps("open", "closed", "open", "closed", "open", "closed")
    work(flaps.worker, clocks, 601)
    count = len(receiver.requests)
    flaps("open", "closed", "open", "closed")
    assert events(receiver)[count:] == [OPENED, CLOSED, OPENED, CLOSED]


def test_a_report_that_did_not_arrive_is_due_again(flaps, clocks, receiver):
    flaps("open", "closed", "open", "closed")
    receiver.script = reply(400)
    flaps("open")
    receiver.script = reply(200)
    flaps("open")
    assert events(receiver)[4:] == [FLAPPING]
    work(flaps.worker, clocks, 30)
    assert events(receiver)[4:] == [FLAPPING, FLAPPING]
    assert Notification.get().notified_id


def test_a_silence_stops_the_report_and_the_state_follows_its_end(flaps, clocks, receiver):
    flaps("open", "closed", "open", "closed")
    silence = silence_warnings(clocks)
    flaps("open", "closed", "open")
    work(flaps.worker, clocks, 1200)
    assert len(receiver.requests) == 4
    Silence.update(until=clocks.now).execute()
    outbox.end_silence(silence.id, clocks.now)
    work(flaps.worker, clocks, 1)
    assert events(receiver)[4:] == [OPENED]


def test_a_silence_that_begins_while_an_alert_flaps_delays_its_state(flaps, clocks, receiver):
    flaps("open", "closed", "open", "closed", "open", "closed", "open")
    count = len(receiver.requests)
    silence = silence_warnings(clocks)
    work(flaps.worker, clocks, 1200)
    assert len(receiver.requests) == count
    Silence.update(until=clocks.now).execute()
    outbox.end_silence(silence.id, clocks.now)
    work(flaps.worker, clocks, 1)
    assert events(receiver)[count:] == [AGAIN]


def test_a_channel_that_gets_no_message_about_the_changes_gets_no_report(
    make, channel, clocks, receiver
):
    every = channel(kind="custom", body=TEMPLATE)
    channel(kind="custom", body=TEMPLATE, columns={"matchers": "severity=critical"})
    worker = make()
    for severity in ("critical", "warning", "critical", "warning", "critical", "warning"):
        post(clocks, labels={"severity": severity})
        work(worker, clocks, 1)
    flapping = Delivery.select().where(Delivery.flapping == 1)
    assert [row.channel_id for row in flapping] == [every]


def test_an_alert_of_a_group_flaps_without_the_others(make, channel, clocks, receiver):
    channel(columns={"group_by": "cluster"})
    worker = make()
    post(clocks, "calm", name="calm", labels={"cluster": "eu"})
    for status in ("open", "closed", "open", "closed", "open", "closed", "open"):
        post(clocks, "flaps", name="flaps", status=status, labels={"cluster": "eu"})
        work(worker, clocks, 1)
    reports = [json.loads(request.body) for request in receiver.requests]
    assert reports[-1]["eventName"] == "flapping"
    marked = [alert["name"] for alert in reports[-1]["alerts"] if alert.get("flapping")]
    assert marked == ["flaps"]
    assert [alert["name"] for alert in reports[-1]["alerts"]] == ["flaps", "calm"]


@pytest.mark.parametrize("damaged", ["", "{", "[null]", '["x"]', "7"])
def test_damaged_times_of_changes_count_as_none(flaps, clocks, receiver, damaged):
    flaps("open")
    Notification.update(changes=damaged).execute()
    flaps("closed", "open")
    assert events(receiver) == [OPENED, CLOSED, OPENED]
    assert AlertRow.select().count() == 1
