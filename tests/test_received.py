"""The times of received alerts, and openings that come too late. Pure: tables only."""

import pytest

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.alerts.received import STALE_WINDOW, alert_to_json, is_stale, merge_alert

NOW = 1_790_000_000_000
START = NOW - 60 * MINUTE


def alert(starts_at, status="open"):
    return Alert.from_json({"name": "Disk full", "status": status, "starts_at": starts_at})


@pytest.mark.parametrize(
    ("starts_at", "resolved_start", "closed_ago", "expected"),
    [
        # The start of the alert that was resolved.
        (START, START, 0, True),
        (START, START, STALE_WINDOW - 1, True),
        # A source that goes on sending it means it.
        (START, START, STALE_WINDOW, False),
        (START, START, 10 * STALE_WINDOW, False),
        # An earlier start, and a later one.
        (START - MINUTE, START, 0, True),
        (START - MINUTE, START, STALE_WINDOW, False),
        (START + 1, START, 0, False),
        (NOW, START, 0, False),
        # Nothing was resolved by a source, or the start is unknown.
        (START, None, 0, False),
        (None, START, 0, False),
        (None, None, 0, False),
        # The clock was set back after the resolution.
        (START, START, -MINUTE, True),
        # The epoch is a start like any other.
        (0, 0, 0, True),
        (1, 0, 0, False),
    ],
)
def test_an_opening_is_stale_soon_after_the_resolution_of_its_start(
    starts_at, resolved_start, closed_ago, expected
):
    assert is_stale(alert(starts_at), resolved_start, NOW - closed_ago, NOW) is expected


@pytest.mark.parametrize("starts_at", [None, START - MINUTE, START, START + MINUTE])
@pytest.mark.parametrize("resolved_start", [None, START])
def test_a_closing_is_never_stale(starts_at, resolved_start):
    assert not is_stale(alert(starts_at, "closed"), resolved_start, NOW, NOW)


END = NOW - MINUTE
OPEN = {"starts_at": START}
CLOSED = {"status": "closed", "starts_at": START, "ends_at": END}


@pytest.mark.parametrize(
    ("stored", "starts_at", "ends_at", "start"),
    [
        # Grafana states the end as the start: the stored start is the real one.
        (OPEN, END, END, START),
        (CLOSED, END, END, START),
        # Nothing is known of the alert, or only an earlier occurrence of it.
        (None, END, END, END),
        ({"starts_at": None}, END, END, END),
        (CLOSED, NOW, NOW, NOW),
        # The stored start is later than the end.
        ({"starts_at": NOW}, END, END, END),
        # A start that is not the end is the source's, and none is the stored one.
        (OPEN, START - MINUTE, END, START - MINUTE),
        (OPEN, START + MINUTE, END, START + MINUTE),
        (OPEN, None, END, START),
        (CLOSED, None, None, START),
        (None, None, None, NOW),
    ],
)
def test_a_closing_keeps_the_real_start_of_its_alert(stored, starts_at, ends_at, start):
    closing = Alert.from_json({"status": "closed", "starts_at": starts_at, "ends_at": ends_at})
    body = alert_to_json(Alert.from_json(stored)) if stored else ""
    assert merge_alert(closing, body, NOW).starts_at == start


LINKS = {"panel": "https://grafana.example/d/1", "silence": "https://grafana.example/silence"}
FIRING = {"links": LINKS, "value": "7.1", "url": "https://grafana.example/1"}


@pytest.mark.parametrize(
    ("closing", "links", "value"),
    [
        ({}, LINKS, "7.1"),
        (
            {"links": {"panel": "https://other.example/"}},
            {"panel": "https://other.example/"},
            "7.1",
        ),
        ({"value": "3"}, LINKS, "3"),
    ],
)
def test_a_resolution_keeps_the_stored_links_and_value_if_it_has_none(closing, links, value):
    stored = alert_to_json(Alert.from_json({"name": "Disk full", **FIRING}))
    merged = merge_alert(Alert.from_json({"status": "closed", **closing}), stored, NOW)
    assert (merged.links, merged.value, merged.url) == (links, value, FIRING["url"])


def test_an_open_alert_has_the_links_and_the_value_that_came_last():
    stored = alert_to_json(Alert.from_json({"name": "Disk full", **FIRING}))
    merged = merge_alert(Alert.from_json({"name": "Disk full", "value": "8"}), stored, NOW)
    assert (merged.links, merged.value) == ({}, "8")
