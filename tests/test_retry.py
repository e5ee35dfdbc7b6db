"""The verdict of every status, and the waits that a receiver may request."""

import time
from email.utils import formatdate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery import retry
from delivery.retry import retry_after, verdict_of_status

NOW = 1772442900.0  # Mon, 02 Mar 2026 09:15:00 GMT
SIX_HOURS = 21600.0

VERDICTS = {
    **dict.fromkeys([0, *range(100, 200)], "failed"),
    **dict.fromkeys(range(200, 300), "delivered"),
    **dict.fromkeys(range(300, 500), "failed"),
    **dict.fromkeys([408, 425, 429], "retry"),
    410: "gone",
    **dict.fromkeys(range(500, 600), "retry"),
    **dict.fromkeys([-1, 1, 99, 600, 999, 1000, 2000, 5000], "failed"),
}


@pytest.mark.parametrize(("status", "verdict"), VERDICTS.items())
def test_every_status_has_its_verdict(status, verdict):
    assert verdict_of_status(status) == verdict


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        (" 120\t", 120.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("21600", SIX_HOURS),
        ("21601", SIX_HOURS),
        ("9999999999", SIX_HOURS),
        ("Mon, 02 Mar 2026 09:16:00 GMT", 60.0),
        ("Monday, 02-Mar-26 09:16:00 GMT", 60.0),
        ("Mon Mar  2 09:16:00 2026", 60.0),
        ("Mon, 02 Mar 2026 10:16:00 +0100", 60.0),
        ("Mon, 02 Mar 2026 09:14:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Mon, 02 Mar 2026 15:15:01 GMT", SIX_HOURS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", SIX_HOURS),
        ("", None),
        (" ", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("0x10", None),
        ("1_0", None),
        ("1 2", None),
        ("1,5", None),
        ("5s", None),
        ("5;", None),
        (".5", None),
        ("5.", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("Infinity", None),
        ("9" * 5000, None),
        ("1." + "0" * 5000, None),
        ("１２", None),
        ("٣", None),
        ("²", None),
        ("soon", None),
        ("null", None),
        ("2026-03-02T09:16:00Z", None),
        ("Fri, 31 Feb 2026 09:16:00 GMT", None),
        ("Mon, 02 Mar 99999 09:16:00 GMT", None),
        ("Mon, 02 Mar 2026 25:61:61 GMT", None),
        ("Mon, 02 Mar 2026 09:16:00 +99999999", None),
        (f"Mon, {'9' * 5000} Mar 2026 09:16:00 GMT", None),
        ("\x00", None),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_seconds_and_dates_are_honored_and_garbage_is_ignored(value, seconds):
    assert retry_after([value], NOW) == seconds


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], None),
        (["5", "10"], 10.0),
        (["10", "5"], 10.0),
        (["10", "garbage"], 10.0),
        (["garbage", "nan"], None),
        (["0", "-1"], 0.0),
        (["30", "Mon, 02 Mar 2026 09:16:00 GMT"], 60.0),
        (["99999", "5"], SIX_HOURS),
    ],
)
def test_of_several_values_the_longest_wait_counts(values, seconds):
    assert retry_after(values, NOW) == seconds


@pytest.fixture
def in_tokyo(monkeypatch):
    """Set the time zone of this machine to another one than UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "value", ["Mon, 02 Mar 2026 09:16:00 GMT", "Monday, 02-Mar-26 09:16:00 GMT"]
)
def test_a_date_does_not_depend_on_the_zone_of_the_machine(in_tokyo, value):
    assert retry_after([value], NOW) == 60.0


@pytest.mark.parametrize("value", ["Mon Mar  2 09:16:00 2026", "Mon, 02 Mar 2026 09:16:00 -0000"])
def test_a_date_without_a_zone_is_utc_in_every_zone_of_the_machine(in_tokyo, value):
    assert retry_after([value], NOW) == 60.0


_pieces = st.sampled_from(
    [
        "Mon",
        ",",
        " ",
        "02",
        "Mar",
        "2026",
        "26",
        "09:16:00",
        "09:16",
        "GMT",
        "+0100",
        "-0000",
        "EST",
        "+9999999",
        "0",
        "-",
        ".",
        "9" * 20,
        "٣",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.text(), st.lists(_pieces).map("".join), st.floats().map(str), st.integers().map(str)
        ),
        max_size=3,
    )
)
@example(["Mon, 02 Mar 2026 09:16:00 -9999"])
@example(["\ud800"])
def test_a_wait_is_none_or_between_zero_and_six_hours(values):
    seconds = retry_after(values, NOW)
    assert seconds is None or 0 <= seconds <= SIX_HOURS


@settings(deadline=None)
@given(st.integers(0, int(SIX_HOURS)))
def test_a_date_means_the_seconds_until_then(seconds):
    assert retry_after([formatdate(NOW + seconds, usegmt=True)], NOW) == seconds
    assert retry_after([str(seconds)], NOW) == seconds


@pytest.mark.parametrize(
    ("attempt", "requested_wait", "random_number", "seconds"),
    [
        (1, None, 0.5, 10.0),
        (1, None, 0.0, 8.0),
        (2, None, 1.0, 36.0),
        (2, 7.0, 1.0, 7.0),
        (2, 0.0, 1.0, 1.0),
        (3, None, 0.5, None),
        (3, 7.0, 0.5, None),
    ],
)
def test_the_next_attempt_waits_for_its_step_or_as_the_receiver_requested(
    attempt, requested_wait, random_number, seconds
):
    wait = retry.wait(attempt, (10, 30), requested_wait, random_number)
    assert wait == pytest.approx(seconds)
