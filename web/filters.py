"""Formats of times and durations in pages, and the geometry of the waterfall."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from clock import DAY, HOUR, MINUTE, SECOND
from delivery.alerts.alert import rfc3339
from delivery.outcome import StageResult

MIN_BAR_WIDTH = 0.8  # percent; a narrower bar is invisible

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"))


class Bar(NamedTuple):
    """Bar of a stage in the waterfall, in percent of the whole exchange."""

    stage: StageResult
    start: float
    width: float


def ago(then: int | None, now: int) -> str:
    """Return `3 minutes ago` for two times in milliseconds, `never` for none."""
    if then is None:
        return "never"
    for length, unit in _UNITS:
        count = (now - then) // length
        if count == 1:
            return f"1 {unit} ago"
        if count > 1:
            return f"{count} {unit}s ago"
    return "just now"


def until(then: int, now: int) -> str:
    """Return `in 25 s`, `in 50 min` or `in 8 h` for a time that is still to come."""
    seconds = math.ceil((then - now) / SECOND)
    if seconds <= 120:
        return f"in {seconds} s"
    if seconds <= 7200:
        return f"in {seconds // 60} min"
    return f"in {seconds // 3600} h"


def moment(time: int) -> str:
    """Return `2026-03-02 09:15 UTC`."""
    return f"{rfc3339(time)[:16].replace('T', ' ')} UTC"


def second(time: int) -> str:
    """Return `2026-03-02 09:15:07 UTC`."""
    return f"{rfc3339(time)[:19].replace('T', ' ')} UTC"


def iso(time: int) -> str:
    """Return `2026-03-02T09:15:07.120Z`, as the attribute `datetime` has it."""
    return rfc3339(time)


def duration(milliseconds: float) -> str:
    """Return `0.4 ms`, `12 ms` or `2.0 s`."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    if milliseconds >= 10:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.1f} ms"


def about(milliseconds: float) -> str:
    """Return `12 ms`, `1.4 s`, `3 min` or `5 h` for a time that is only known roughly."""
    if milliseconds < MINUTE:
        return duration(milliseconds)
    if milliseconds < HOUR:
        return f"{milliseconds / MINUTE:.0f} min"
    return f"{milliseconds / HOUR:.0f} h"


def waterfall(stages: Sequence[StageResult]) -> list[Bar]:
    """Return the bar of each stage; a bar begins where the previous stage ended."""
    # Each share is divided before it is multiplied: 100 / 5e-324 is infinite.
    total = sum(stage.milliseconds for stage in stages) or 1
    elapsed = 0.0
    bars = []
    for stage in stages:
        width = max(MIN_BAR_WIDTH, stage.milliseconds / total * 100)
        start = min(elapsed / total * 100, 100 - width)
        bars.append(Bar(stage, round(start, 2), round(width, 2)))
        elapsed += stage.milliseconds
    return bars
