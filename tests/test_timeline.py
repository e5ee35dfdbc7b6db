"""The timeline of an alert."""

import json

import pytest

from delivery.alerts.received import alert_from_json
from models import Alert, Channel, Delivery
from web.deliveries.timeline import timeline

CHANNEL = Channel(name="Ops")
OPENED, SENT, CLOSED = 1000, 2000, 9000


def delivery(event="open", state="delivered", at=OPENED, settled_at=SENT, **columns):
    return Delivery(
        channel=CHANNEL,
        event=event,
        state=state,
        created_at=at,
        settled_at=settled_at,
        **{"repeated": 0, "flapping": 0, "cause": "Why.", **columns},
    )


def entries(*deliveries, status="open", changed_at=OPENED, starts_at=None):
    body = json.dumps({"name": "A", "status": status, "starts_at": starts_at})
    row = Alert(name="A", status=status, body=body, changed_at=changed_at)
    return [
        (entry.at, entry.text, entry.cause)
        for entry in timeline(row, alert_from_json(body), deliveries)
    ]


def test_the_latest_entry_is_first_and_channels_of_one_change_are_counted_together():
    assert entries(
        delivery(),
        delivery(state="failed", settled_at=3000),
        delivery(state="pending", settled_at=None),
    ) == [
        (3000, "Message failed for", "Why."),
        (SENT, "Message delivered to", ""),
        (OPENED, "Message planned for 3 channels", ""),
        (OPENED, "Opened", ""),
    ]


def test_a_closing_a_repeat_and_flapping_are_named():
    assert [
        text
        for _, text, _ in entries(
            delivery(),
            delivery(at=4000, settled_at=None, state="pending", repeated=1),
            delivery(at=6000, settled_at=None, state="pending", flapping=1),
            delivery("closed", at=CLOSED, settled_at=9500),
            status="closed",
            changed_at=CLOSED,
        )
    ] == [
        "Resolution delivered to",
        "Resolution planned for 1 channel",
        "Closed",
        "Report that it is flapping planned for 1 channel",
        "Repeat planned for 1 channel",
        "Message delivered to",
        "Message planned for 1 channel",
    ]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("dropped", "Message not sent to"),
        ("superseded", "Message no longer sent to"),
        ("given_up", "Message canceled for"),
        ("parked", "Message set aside for"),
    ],
)
def test_what_was_not_sent_says_why(state, text):
    assert entries(delivery(state=state))[0] == (SENT, text, "Why.")


def test_an_alert_without_deliveries_has_its_change_and_its_start():
    assert entries(starts_at="1970-01-01T00:00:00.500Z") == [
        (OPENED, "Opened", ""),
        (500, "Started, as its source says", ""),
    ]
    assert entries(status="closed") == [(OPENED, "Closed", "")]


def test_rows_in_an_unknown_state_break_nothing():
    assert entries(delivery("?", "?", settled_at=None))[0][1] == "Message planned for 1 channel"
