"""The geometry of the charts, as attributes of SVG, and their descriptions. Pure.

A state is never shown by color alone: what failed has a pattern and a place of its own.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from clock import HOUR
from delivery.outbox import hour_of
from web.filters import moment

HOURS = 24
CHART_HEIGHT = 100
MIN_BAR_HEIGHT = 2  # a single delivery beside ten thousand is visible


class HourlyCount(NamedTuple):
    """What became of deliveries in the hour that begins at `hour`; see `models.Activity`."""

    hour: int
    delivered: int = 0
    retried: int = 0
    failed: int = 0


class Look(StrEnum):
    """How an hour of a channel is shown."""

    QUIET = "quiet"
    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"


class Bar(NamedTuple):
    """An hour of the chart: the heights of its parts, from the bottom, in percent."""

    counts: HourlyCount
    delivered: int
    failed: int


class Strip(NamedTuple):
    """The last hours of a channel, and the same in words."""

    looks: list[Look]
    text: str


def fill_hours(counts: Sequence[HourlyCount], now: int) -> list[HourlyCount]:
    """Return a count for each of the last hours, the latest one last."""
    by_hour = {count.hour: count for count in counts}
    latest = hour_of(now)
    hours = (latest - ago * HOUR for ago in reversed(range(HOURS)))
    return [by_hour.get(hour, HourlyCount(hour)) for hour in hours]


def bars(hours: Sequence[HourlyCount]) -> list[Bar]:
    """Return the bars of the chart; the highest one has the whole height."""
    highest = max((hour.delivered + hour.failed for hour in hours), default=0) or 1
    found = []
    for hour in hours:
        found.append(Bar(hour, _height(hour.delivered, highest), _height(hour.failed, highest)))
    return found


def _height(number: int, highest: int) -> int:
    if not number:
        return 0
    # Two small parts must not reach beyond the top.
    return max(MIN_BAR_HEIGHT, round(number / highest * (CHART_HEIGHT - MIN_BAR_HEIGHT)))


def look_of(hour: HourlyCount) -> Look:
    """Return how an hour is shown: an attempt that failed counts, even if a later one arrived."""
    bad = hour.failed + hour.retried
    if hour.delivered:
        return Look.MIXED if bad else Look.GOOD
    return Look.BAD if bad else Look.QUIET


def strip(hours: Sequence[HourlyCount]) -> Strip:
    """Return the strip of a channel."""
    return Strip([look_of(hour) for hour in hours], _describe(hours))


def _describe(hours: Sequence[HourlyCount]) -> str:
    """Return what a strip shows in one sentence."""
    delivered = sum(hour.delivered for hour in hours)
    failed = sum(hour.failed for hour in hours)
    retried = sum(hour.retried for hour in hours)
    if not delivered + failed + retried:
        return "No attempt in the last 24 hours."
    text = f"Last 24 hours: {delivered:,} delivered, {failed:,} failed"
    if retried:
        text += f", {retried:,} attempts repeated"
    bad = [hour.hour for hour in hours if hour.failed + hour.retried]
    if bad:
        text += f"; the last trouble was in the hour from {moment(bad[-1])}"
    return f"{text}."
