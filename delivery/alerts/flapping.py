"""Alerts that change too often for a message about each change. Pure.

The first opening that follows more than `MAX_CHANGES` changes within `WINDOW` reports that the
alert is flapping. After that, nothing is sent until the alert has not changed for `WINDOW`.
"""

import json
from functools import lru_cache

from clock import MINUTE
from delivery.alerts.due import names_that_notify
from delivery.alerts.plans import ChannelRoute
from delivery.alerts.received import AlertChange
from delivery.event import MAX_TIMESTAMP

MAX_CHANGES = 4
WINDOW = 10 * MINUTE


def changes_after(
    changes: tuple[int, ...], change: AlertChange, route: ChannelRoute, now: int
) -> tuple[int, ...] | None:
    """Return the times of the last changes, with this one; None if the alert has not changed.

    Besides opening and closing, labels count whose change notifies the channel again.
    """
    if not change.received:
        return None
    if not change.turns and not change.is_relabeled(names_that_notify(route)):
        return None
    recent = [at for at in changes if now - WINDOW < at <= now]
    return (*recent[-MAX_CHANGES:], now)


def is_too_often(changes: tuple[int, ...]) -> bool:
    """Return True if the last change is one too many."""
    return len(changes) > MAX_CHANGES


def calm_at(changes: tuple[int, ...]) -> int:
    """Return when an alert counts as calm unless it changes again."""
    return max(changes, default=0) + WINDOW


@lru_cache(maxsize=1024)
def write_changes(changes: tuple[int, ...]) -> str:
    """Return the times as a JSON list."""
    return f"[{', '.join(map(str, changes))}]"


def read_changes(text: str) -> tuple[int, ...]:
    """Return the times of a stored JSON list; none if it is damaged."""
    try:
        times = tuple(map(int, json.loads(text or "[]")))
    except (ValueError, TypeError, OverflowError):
        return ()
    return tuple(at for at in times if 0 <= at <= MAX_TIMESTAMP)
