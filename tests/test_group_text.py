"""The message of several alerts: a summary line, then one line for each alert."""

from dataclasses import replace

import pytest
from cpu_time import cpu_time
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import AT, assert_within_limits, channel_of

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import Message, write_body
from delivery.settings import Settings
from delivery.text import json_length, utf8_length, utf16_length

HERE = Installation("here", "https://tocsin.example")
FOR_PROGRAMS = {"webhook", "alertmanager", "alertmanager_webhook", "custom"}
PEOPLE_READ = sorted(set(kinds()) - FOR_PROGRAMS)
MAX_MS = 20  # for a group of 200 in a quiet process; bench/groups.py measures it


def event(number=1, status="open", **parts):
    labels = {"cluster": "eu", "instance": f"db-{number}", **parts.pop("labels", {})}
    closing = {"ends_at": AT} if status == "closed" else {}
    alert = {"id": str(number), "name": "HighLatency", "labels": labels, "status": status}
    alert |= {"starts_at": AT - 12 * MINUTE, **closing, **parts}
    return Event(Alert.from_json(alert), number, AT)


def group(*events, settings=None, installation=HERE):
    return text_of_group(events, "k", settings or Settings(), installation)


def severe(number, severity, **parts):
    return event(number, labels={"severity": severity}, **parts)


def test_the_title_counts_the_alerts_and_names_what_they_share():
    events = [severe(number, "warning") for number in range(6)]
    events += [severe(7, "critical"), event(8, "closed"), event(9, "closed")]
    assert group(*events).title == "CRITICAL 7 open, 2 resolved: HighLatency · cluster eu"


@pytest.mark.parametrize(
    ("events", "title"),
    [
        ([event(1), event(2)], "FIRING 2 open: HighLatency · cluster eu"),
        ([event(1, "closed"), event(2, "closed")], "All 2 resolved: HighLatency · cluster eu"),
        (
            [event(n, name=name) for n, name in enumerate("ABCDE")],
            "FIRING 5 open: A, B, C and 2 more · cluster eu",
        ),
        (
            [event(1, labels={"cluster": "us"}), event(2)],
            "FIRING 2 open: HighLatency",
        ),
        (
            [event(n, labels={"service": " ", "cluster": "", "job": "pg"}) for n in (1, 2)],
            "FIRING 2 open: HighLatency · job pg",
        ),
    ],
)
def test_a_title_of_few_names_and_labels(events, title):
    assert group(*events).title == title


def test_the_line_of_a_resolved_alert_says_what_it_was():
    closed = severe(2, "critical", status="closed", annotations={"summary": "Disk is full"})
    _open, resolved = group(event(1), closed).description.splitlines()
    assert resolved.endswith("db-2: Was critical: Disk is full")


def test_the_lines_are_sorted_by_severity_and_the_resolved_ones_are_last():
    text = group(
        event(1, "closed", labels={"severity": "critical"}),
        severe(2, "info"),
        severe(3, "critical", annotations={"summary": "two\nlines"}),
        severe(4, "warning"),
    )
    assert text.description.split("\n") == [
        "CRITICAL HighLatency · db-3: two lines",
        "WARNING HighLatency · db-4",
        "INFO HighLatency · db-2",
        "Resolved after 12 min: HighLatency · db-1",
    ]
    assert (text.severity, text.level, text.closed) == ("critical", "critical", False)


def test_the_facts_are_the_labels_that_all_alerts_share():
    text = group(
        event(1, labels={"team": "db", "zone": "a", "__internal": "x"}),
        event(2, labels={"team": "db", "zone": "b", "__internal": "x"}),
    )
    assert text.facts == [("team", "db")]
    assert [link.url for link in text.links] == ["https://tocsin.example/alerts"]
    assert not group(event(1), installation=Installation()).links


def test_two_groups_and_two_installations_have_keys_of_their_own():
    texts = [
        text_of_group([event(1)], key, Settings(), Installation(name))
        for key in "ab"
        for name in ("here", "there")
    ]
    assert len({text.dedup_key for text in texts}) == 4


@pytest.mark.parametrize("measure", [utf16_length, utf8_length, json_length])
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), st.integers(0, 3000), st.text('a é"\\🔔', max_size=30))
def test_the_lines_fit_any_room_and_the_others_are_counted(measure, count, maximum, name):
    text = group(*(event(number, name=name) for number in range(count)))
    shown = text.description_within(maximum, measure)
    assert measure(shown) <= maximum
    lines = shown.split("\n") if shown else []
    if lines and lines[-1].startswith("and "):
        hidden = int(lines.pop().split()[1].replace(",", ""))
        assert hidden == count - len(lines)
    elif lines:
        assert len(lines) == count


def test_the_first_line_is_cut_where_it_does_not_fit():
    summary = {"summary": "The lag is 48 s and rising"}
    two = group(*(severe(number, "critical", annotations=summary) for number in (1, 2)))
    assert two.description_within(52) == "CRITICAL HighLatency · db-1: The lag is…\nand 1 more"
    assert two.description_within(40) == "CRITICAL HighLatency · db-1:…\nand 1 more"
    assert two.description_within(5) == ""


def test_no_more_lines_are_written_than_are_shown(monkeypatch):
    text = group(*(event(number) for number in range(10_000)))
    written = []
    one_title = type(text.members[0]).title_within
    monkeypatch.setattr(
        type(text.members[0]),
        "title_within",
        lambda self, *room: written.append(self) or one_title(self, *room),
    )
    assert text.description_within(1000).endswith("\nand 9,964 more")
    assert len(written) < 50


@pytest.mark.parametrize("kind", PEOPLE_READ)
def test_a_group_of_two_hundred_is_a_valid_message_that_says_how_many_are_left_out(kind):
    channel = channel_of(kind)
    alerts = [severe(n, "critical", annotations={"summary": "s" * 300}) for n in range(200)]
    text = group(*alerts, settings=channel)
    with cpu_time() as spent:
        body = write_body(text)
    assert spent.seconds * 1000 < 10 * MAX_MS
    message = Message("msg_1", "POST", channel.target, body.encode())
    assert_within_limits(kind, message)
    assert "200 open" in body
    if kind not in ("pagerduty", "googlechat"):
        assert " more" in body


def test_ten_thousand_alerts_are_one_short_message():
    text = group(*(event(number) for number in range(10_000)), settings=channel_of("slack"))
    body = write_body(text)
    assert "10,000 open" in body
    assert len(body) < 10_000


# --- the alerts that are known already, and a group of one ---


def test_the_alerts_that_are_known_already_come_last_and_count():
    known = replace(severe(1, "critical", annotations={"summary": "Slow"}), is_known=True)
    text = group(known, severe(2, "info"), event(3, "closed"))
    assert text.title == "CRITICAL 2 open, 1 resolved: HighLatency · cluster eu"
    assert text.description.splitlines() == [
        "INFO HighLatency · db-2",
        "Resolved after 12 min: HighLatency · db-3",
        "Still open: CRITICAL HighLatency · db-1",
    ]
    assert (text.severity, text.level, text.closed) == ("critical", "critical", False)
    assert text.event_name == "created"


def test_a_group_in_which_one_alert_is_still_open_is_open():
    known = replace(event(1), is_known=True)
    text = group(known, event(2, "closed"))
    assert not text.closed
    assert text.event_name == "status-changed"
    assert text.title == "FIRING 1 open, 1 resolved: HighLatency · cluster eu"


@pytest.mark.parametrize("status", ["open", "closed"])
def test_a_group_of_one_alert_says_all_that_the_alert_alone_says(status):
    alone = event(1, status, annotations={"summary": "Slow", "description": "Very slow"})
    text = group(alone)
    single = AlertText(alone, Settings(), HERE)
    for name in ("title", "summary", "description", "facts", "times", "links", "closed"):
        assert getattr(text, name) == getattr(single, name), name
    assert text.dedup_key == "tocsin-here-group-k" != single.dedup_key


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_flapping_alert_says_so_in_every_kind(kind):
    flapping = replace(event(1, annotations={"summary": "Slow"}), flapping=True)
    for text in (AlertText(flapping, channel_of(kind), HERE), group(flapping, event(2))):
        body = write_body(replace(text, settings=channel_of(kind)))
        assert "flapping" in body.lower() or kind in FOR_PROGRAMS - {"webhook"}, body


def test_the_summary_of_a_flapping_alert_says_what_follows():
    text = AlertText(replace(severe(1, "critical", annotations={"summary": "Slow"}), flapping=True))
    assert text.title == "FLAPPING HighLatency · db-1"
    assert "for ten minutes. Slow" in text.summary
    assert text.headline_within(200) == "Flapping: Slow · db-1"
