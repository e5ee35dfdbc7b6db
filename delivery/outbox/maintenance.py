"""Regular upkeep of the outbox, and the clock."""

from clock import HOUR, MINUTE
from delivery.alerts.routing import DELIVERY_LIFETIME
from delivery.outbox.statements import execute
from models import db

# The longest step of a schedule, 10 h, with its 20 %.
MAX_DUE_AHEAD = 12 * HOUR + MINUTE

_CORRECT_DUE_TIMES = """
    UPDATE delivery SET due_at = :now WHERE state = 'pending' AND due_at > :latest"""
# Runs every second. CROSS JOIN makes SQLite begin with the channels, of which few are failing.
_START_PROBES = """
    UPDATE delivery SET state = 'pending', due_at = :now WHERE id IN (
        SELECT min(d.id) FROM channel c CROSS JOIN delivery d
            ON d.channel_id = c.id AND d.state = 'held'
        WHERE c.state = 'failing' AND (d.due_at <= :now OR d.due_at > :latest) AND NOT EXISTS (
            SELECT 1 FROM delivery b
            WHERE b.channel_id = c.id AND b.state IN ('pending', 'sending'))
        GROUP BY c.id)"""
_DELETE_OLD_RECEIPTS = """
    DELETE FROM receipt WHERE at < :now - :lifetime OR at > :now + :lifetime"""
_MOVE_DELIVERIES = """
    UPDATE delivery SET due_at = due_at + :jump, expires_at = expires_at + :jump
    WHERE id <= :newest AND state IN ('pending', 'held', 'sending')"""
_MOVE_CLOSINGS = """
    UPDATE alert SET closes_at = closes_at + :jump
    WHERE closes_at IS NOT NULL AND abs(seen_at - :now) > abs(:jump) / 2"""


def sweep(now: int) -> None:
    """Correct due times in a far future, start probes, delete old receipts.

    A probe is one held delivery of a failing channel that has no other under way.
    """
    times = {"now": now, "latest": now + MAX_DUE_AHEAD, "lifetime": DELIVERY_LIFETIME}
    with db.atomic():
        for statement in (_CORRECT_DUE_TIMES, _START_PROBES, _DELETE_OLD_RECEIPTS):
            execute(statement, **times)


def newest_id() -> int:
    """Return the id of the newest delivery, or 0."""
    return execute("SELECT coalesce(max(id), 0) FROM delivery").fetchone()[0]


def move_with_clock(jump: int, now: int, newest: int) -> None:
    """Move waiting deliveries and overdue times by a jump of the clock, which now shows `now`.

    Deliveries newer than `newest`, and alerts that were seen since, have their times from the
    clock after the jump.
    """
    with db.atomic():
        execute(_MOVE_DELIVERIES, jump=jump, newest=newest)
        execute(_MOVE_CLOSINGS, jump=jump, now=now)
