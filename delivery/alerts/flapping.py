"""Alerts that change too often for a message about each change. Pure.

The first opening that follows more than `MAX_CHANGES` changes within `WINDOW` reports that the
alert is flapping. After that, nothing is sent until the alert has not changed for `WINDOW`.
"""

import json

from clock import MINUTE
from delivery.alerts.received import AlertChange

MAX_CHANGES = 4
WINDOW = 10 * MINUTE


def changes_after(
    changes: tuple[int, ...], change: AlertChange, names: frozenset[str], now: int
) -> tuple[int, ...] | None:
    """Return the times of the last changes, with this one; None if the alert has not changed.

    `names` are the labels whose values count.
    """
    if not change.received or not (change.turns or change.is_relabeled(names)):
        return None
    recent = [at for at in changes if now - WINDOW < at <= now]
    return (*recent[-MAX_CHANGES:], now)


def is_too_often(changes: tuple[int, ...]) -> bool:
    """Return True if the last change is one too many."""
    return len(changes) > MAX_CHANGES


def calm_at(changes: tuple[int, ...]) -> int:
    """Return when an alert counts as calm unless it changes again."""
    return max(changes, default=0) + WINDOW


def read_changes(text: str) -> tuple[int, ...]:
    """Return the times of a stored JSON list; none if it is damaged."""
    try:
        return tuple(map(int, json.loads(text or "[]")))
    except (ValueError, TypeError):
        return ()
