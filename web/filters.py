"""How pages spell times and durations, and place them on a line."""

from collections.abc import Sequence

from delivery.alerts.alert import rfc3339
from delivery.outcome import StageResult

NARROWEST = 0.8  # percent: a bar that is shorter could not be seen

_STEPS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"))


def ago(then: int, now: int) -> str:
    """`3 minutes ago`, of two times in milliseconds."""
    for length, name in _STEPS:
        count = (now - then) // length
        if count >= 1:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def moment(then: int) -> str:
    """`2026-03-02 09:15 UTC`."""
    return f"{rfc3339(then)[:16].replace('T', ' ')} UTC"


def duration(milliseconds: float) -> str:
    """`0.4 ms`, `12 ms`, `2.0 s`: as many digits as mean something."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def waterfall(stages: Sequence[StageResult]) -> list[tuple[StageResult, float, float]]:
    """Each stage with where its bar begins and how long it is, in percent of all of them together."""
    whole = sum(stage.milliseconds for stage in stages) or 1.0
    rows, before = [], 0.0
    for stage in stages:
        length = max(NARROWEST, stage.milliseconds / whole * 100)
        rows.append((stage, round(min(before / whole * 100, 100 - length), 2), round(length, 2)))
        before += stage.milliseconds
    return rows
