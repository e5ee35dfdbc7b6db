"""Until when Tocsin could hear of alerts.

An alert that nobody repeats closes at its end. While Tocsin is stopped or refuses alerts it hears
of none, so that time does not count: every web process reports that it listens, and a gap between
two reports moves the ends of the open alerts.
"""

from delivery.outbox.statements import execute
from models import db

REPORT_INTERVAL = 500  # milliseconds
MAX_GAP = 3 * REPORT_INTERVAL

# Without a report, the last alert that came is the last time at which Tocsin surely listened.
_LISTENING_UNTIL = """
    SELECT coalesce((SELECT CAST(value AS INTEGER) FROM fact WHERE name = 'listening until'),
        (SELECT max(seen_at) FROM alert), 0)"""
_STORE = "REPLACE INTO fact (name, value) VALUES ('listening until', CAST(:now AS TEXT))"
# Tocsin listened when it stored an alert: of a gap, only the time after that counts.
_MOVE_CLOSINGS = """
    UPDATE alert SET closes_at = closes_at + :gap
        - iif(seen_at BETWEEN :since AND :since + :gap, seen_at - :since, 0)
    WHERE closes_at > :since"""


def listening_until() -> int:
    """Return the time until which Tocsin surely listened."""
    return execute(_LISTENING_UNTIL).fetchone()[0]


def report_listening(now: int, max_gap: int | None = None) -> None:
    """Report that Tocsin listens now; after a gap, move the ends of open alerts by its length.

    `max_gap` is the longest possible gap in milliseconds, if that is known: the clock may have
    jumped, which is no gap.
    """
    if 0 <= now - listening_until() < REPORT_INTERVAL // 2:
        return  # another process has just reported
    with db.atomic():
        since = listening_until()
        gap = now - since
        if max_gap is not None:
            gap = min(gap, max_gap)
        if gap > MAX_GAP:
            execute(_MOVE_CLOSINGS, gap=gap, since=since)
        execute(_STORE, now=now)
