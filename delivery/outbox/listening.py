"""Until when Tocsin could receive alerts.

An alert that nobody repeats closes at its end. While Tocsin is stopped or refuses alerts it gets
none, so that time does not count: every web process reports that it listens, and a gap between
two reports moves the ends of the open alerts.
"""

import re

from delivery.outbox.statements import execute
from models import db

REPORT_INTERVAL = 500  # milliseconds
MAX_GAP = 3 * REPORT_INTERVAL

_REPORTED = "SELECT value FROM fact WHERE name = 'listening until'"
_LAST_SEEN = "SELECT coalesce(max(seen_at), 0) FROM alert"
_STORE = """
    INSERT INTO fact (name, value) VALUES ('listening until', CAST(:now AS TEXT))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
# Tocsin listened when it stored an alert: of a gap, only the time after that counts.
_MOVE_CLOSINGS = """
    UPDATE alert SET closes_at = closes_at + :gap
        - iif(seen_at BETWEEN :since AND :since + :gap, seen_at - :since, 0)
    WHERE closes_at > :since"""


def listening_until() -> int:
    """Return the time until which Tocsin surely listened.

    Without a report, that is when the last alert came.
    """
    reported = _last_report()
    if reported is None:
        return execute(_LAST_SEEN).fetchone()[0]
    return reported


def _last_report() -> int | None:
    """Return the time of the last report, 0 if that is damaged, and None without one."""
    row = execute(_REPORTED).fetchone()
    if row is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", row[0], re.ASCII):
        return 0
    return int(row[0])


def report_listening(now: int, max_gap: int | None = None) -> None:
    """Report that Tocsin listens now; after a gap, move the ends of open alerts by its length.

    `max_gap` is the longest possible gap in milliseconds, if that is known: the clock may have
    jumped, which is no gap.
    """
    reported = _last_report()
    if reported is not None and 0 <= now - reported < REPORT_INTERVAL // 2:
        return  # another process has just done it
    with db.atomic():
        since = listening_until()
        gap = now - since
        if max_gap is not None:
            gap = min(gap, max_gap)
        if gap > MAX_GAP:
            execute(_MOVE_CLOSINGS, gap=gap, since=since)
        execute(_STORE, now=now)
