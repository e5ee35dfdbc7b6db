"""Times and durations as people read them in a message."""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kind_support import AT

from clock import DAY, HOUR, MINUTE, SECOND
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.times import find_zone, format_duration, format_time, is_plausible
from delivery.event import Event
from delivery.installation import Installation
from delivery.settings import Header, Settings

YEAR_1 = -62_135_596_800_000
YEAR_9999 = 253_402_300_799_999
SUMMER = 1_783_000_000_000


@pytest.mark.parametrize(
    ("time", "zone", "text"),
    [
        (AT, UTC, "2026-03-02 09:15 +00:00"),
        (AT, find_zone("Europe/Berlin"), "2026-03-02 10:15 +01:00"),
        (AT, find_zone("Asia/Kolkata"), "2026-03-02 14:45 +05:30"),
        (AT, find_zone("Pacific/Kiritimati"), "2026-03-02 23:15 +14:00"),
        (AT, timezone(-timedelta(hours=9, minutes=30)), "2026-03-01 23:45 -09:30"),
        (SUMMER, find_zone("Europe/Berlin"), "2026-07-02 15:46 +02:00"),
        (0, UTC, "1970-01-01 00:00 +00:00"),
        (-1, UTC, "1969-12-31 23:59 +00:00"),
        (None, UTC, ""),
    ],
)
def test_a_time_is_stated_in_its_zone_with_the_offset(time, zone, text):
    assert format_time(time, zone) == text


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_the_first_and_the_last_year_have_four_digits(name):
    zone = find_zone(name)
    assert format_time(YEAR_1 + 2 * DAY, zone).startswith("0001-01-0")
    assert format_time(YEAR_9999 - 2 * DAY, zone).startswith("9999-12-")


def test_a_year_that_the_zone_cannot_show_is_in_utc():
    assert format_time(YEAR_1, find_zone("America/New_York")) == "0001-01-01 00:00 +00:00"
    assert format_time(YEAR_9999, find_zone("Asia/Tokyo")) == "9999-12-31 23:59 +00:00"


@pytest.mark.parametrize("time", [YEAR_1 - 1, YEAR_9999 + 1, 10**30, -(10**30)])
def test_a_time_beyond_the_calendar_is_empty(time):
    assert format_time(time, UTC) == ""


@given(st.integers(YEAR_1, YEAR_9999), st.sampled_from(["UTC", "Asia/Tokyo", "Etc/GMT+12", ""]))
def test_every_time_of_the_calendar_has_one_form(time, name):
    text = format_time(time, find_zone(name))
    assert len(text) == len("2026-03-02 10:15 +01:00")
    assert [text[place] for place in (4, 7, 10, 13, 16, 20)] == list("-- : :")


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_a_zone_is_found_by_its_name(name):
    assert str(find_zone(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "Europe", "Nowhere/City", "+02:00", "Europe/Berlin\n", "é", "a\x00b"),
        *("/etc/localtime", "../zoneinfo/UTC", "tzdata.zi", "\ud800", "x" * 2**16),
    ],
)
def test_any_other_name_is_no_zone(name):
    assert find_zone(name) is None


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1 s"),
        (1, "1 s"),
        (45 * SECOND, "45 s"),
        (MINUTE - 1, "59 s"),
        (MINUTE, "1 min"),
        (12 * MINUTE + 59 * SECOND, "12 min"),
        (HOUR - 1, "59 min"),
        (HOUR, "1 h"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (DAY - 1, "23 h 59 min"),
        (DAY, "1 d"),
        (DAY + 59 * MINUTE, "1 d"),
        (3 * DAY + 4 * HOUR, "3 d 4 h"),
        (3650 * DAY, "3650 d"),
    ],
)
def test_a_duration_has_two_units_at_most(milliseconds, text):
    assert format_duration(milliseconds) == text


@pytest.mark.parametrize("milliseconds", [-1, -DAY, 3650 * DAY + 1, 10**400])
def test_a_duration_that_cannot_be_right_is_empty(milliseconds):
    assert format_duration(milliseconds) == ""


@pytest.mark.parametrize(
    ("time", "expected"),
    [(AT, True), (None, False), (0, False), (YEAR_1, False), (YEAR_9999, False), (-AT, False)],
)
def test_only_a_time_of_this_century_is_plausible(time, expected):
    assert is_plausible(time) == expected


def text_of(at=AT, zone="", installation=UTC, **parts):
    """Return the text of an alert, with the zones of its channel and of the installation."""
    settings = Settings(options=(Header("time_zone", zone),))
    return AlertText(Event(Alert(**parts), 1, at), settings, Installation(time_zone=installation))


def test_the_zone_of_the_channel_counts_before_that_of_the_installation():
    tokyo = find_zone("Asia/Tokyo")
    assert text_of(starts_at=AT, installation=tokyo).started.endswith("+09:00")
    assert text_of(starts_at=AT, installation=tokyo, zone="Europe/Berlin").started == (
        "2026-03-02 10:15 +01:00"
    )
    assert text_of(starts_at=AT, installation=tokyo, zone="Nowhere").started.endswith("+09:00")


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, ""),
        ({"starts_at": AT - 12 * MINUTE}, "Started 2026-03-02 09:03 +00:00 (12 min ago)"),
        ({"starts_at": AT + HOUR}, "Started 2026-03-02 10:15 +00:00"),
        ({"starts_at": YEAR_1}, "Started 0001-01-01 00:00 +00:00"),
        ({"starts_at": YEAR_9999}, "Started 9999-12-31 23:59 +00:00"),
        ({"starts_at": 10**30}, ""),
    ],
)
def test_the_line_of_an_open_alert_has_its_start_and_its_age(parts, line):
    assert text_of(**parts).times == line


@pytest.mark.parametrize(
    ("parts", "line", "words"),
    [
        (
            {"starts_at": AT - 12 * MINUTE, "ends_at": AT},
            "Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00",
            "Resolved after 12 min:",
        ),
        (
            {"starts_at": AT - DAY, "ends_at": AT},
            "Started 2026-03-01 09:15 +00:00, ended 2026-03-02 09:15 +00:00",
            "Resolved after 1 d:",
        ),
        (
            {"starts_at": AT - HOUR},
            "Started 2026-03-02 08:15 +00:00, ended 09:15 +00:00",
            "Resolved after 1 h:",
        ),
        (
            {"starts_at": AT, "ends_at": AT - HOUR},
            "Started 2026-03-02 09:15 +00:00, ended 08:15 +00:00",
            "Resolved:",
        ),
        ({"ends_at": AT}, "", "Resolved:"),
        ({}, "", "Resolved:"),
    ],
)
def test_the_line_of_a_resolution_has_its_start_and_its_end(parts, line, words):
    text = text_of(status="closed", **parts)
    assert text.times == line
    assert text.status_words == words


def test_an_end_that_is_no_time_leaves_no_empty_words():
    text = text_of(status="closed", starts_at=AT, ends_at=10**30)
    assert text.times == "Started 2026-03-02 09:15 +00:00"
