"""Regular upkeep of the outbox, and the clock."""

from clock import HOUR, MINUTE
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.outbox.results import PROBE_INTERVAL
from delivery.outbox.statements import execute
from models import db

# The longest step of a schedule, 10 h, with its 20 %.
MAX_DUE_AHEAD = 12 * HOUR + MINUTE

_CORRECT_DUE_TIMES = """
    UPDATE delivery INDEXED BY delivery_pending SET due_at = :now
    WHERE state = 'pending' AND due_at > :latest
        AND channel_id IN (SELECT id FROM channel)"""
# The least attempted delivery, so that one that the receiver refuses does not hide the others.
_NEXT_PROBES = """
    SELECT c.id, (
        SELECT d.id FROM delivery d WHERE d.channel_id = c.id AND d.state = 'held'
        ORDER BY d.attempts, d.id LIMIT 1)
    FROM channel c
    WHERE c.state = 'failing' AND c.deleted_at IS NULL
        AND coalesce(c.probe_at, 0) NOT BETWEEN :now + 1 AND :latest_probe
        AND NOT EXISTS (
            SELECT 1 FROM delivery b
            WHERE b.channel_id = c.id AND b.state IN ('pending', 'sending'))"""
_START_PROBE = """
    UPDATE delivery SET state = 'pending', due_at = :now, expires_at = :now + :lifetime
    WHERE id = :delivery_id"""
_NOTE_PROBE = "UPDATE channel SET probe_at = :latest_probe WHERE id = :channel_id"
_MOVE_DELIVERIES = """
    UPDATE delivery SET due_at = due_at + :jump, expires_at = expires_at + :jump
    WHERE id <= :newest AND state IN ('pending', 'held', 'sending')"""
_MOVE_CLOSINGS = """
    UPDATE alert SET closes_at = closes_at + :jump
    WHERE closes_at > 0 AND abs(seen_at - :now) > abs(:jump) / 2"""
# A silence ends when the clock says so.
_MOVE_REVIEWS = """
    UPDATE notification SET review_at = review_at + :jump
    WHERE delivery_id <= :newest AND silence_id IS NULL AND review_at IS NOT NULL"""
_MOVE_CHANGES = """
    UPDATE notification SET changes = (
        SELECT json_group_array(CAST(value AS BIGINT) + :jump) FROM json_each(changes))
    WHERE delivery_id <= :newest AND flapping = 1 AND review_at IS NOT NULL
        AND json_valid(changes)"""
_MOVE_TROUBLE = """
    UPDATE channel SET trouble_since = trouble_since + :jump WHERE trouble_since IS NOT NULL"""


def sweep(now: int) -> None:
    """Correct due times in a far future, and start probes."""
    times = {"now": now, "latest": now + MAX_DUE_AHEAD}
    with db.atomic():
        execute(_CORRECT_DUE_TIMES, **times)
        _start_probes(now)


def _start_probes(now: int) -> None:
    """Send one held delivery of each failing channel whose probe is due."""
    latest_probe = now + PROBE_INTERVAL
    probes = execute(_NEXT_PROBES, now=now, latest_probe=latest_probe).fetchall()
    for channel_id, delivery_id in probes:
        if delivery_id:
            execute(_START_PROBE, delivery_id=delivery_id, now=now, lifetime=DELIVERY_LIFETIME)
            execute(_NOTE_PROBE, channel_id=channel_id, latest_probe=latest_probe)


def newest_id() -> int:
    """Return the id of the newest delivery, or 0."""
    return execute("SELECT coalesce(max(id), 0) FROM delivery").fetchone()[0]


def move_with_clock(jump: int, now: int, newest: int) -> None:
    """Move waiting deliveries, overdue times and trouble by a jump of the clock.

    The clock shows `now` after the jump.

    Deliveries newer than `newest`, and alerts that were seen since, have their times from the
    clock after the jump.
    """
    with db.atomic():
        execute(_MOVE_DELIVERIES, jump=jump, newest=newest)
        execute(_MOVE_CLOSINGS, jump=jump, now=now)
        execute(_MOVE_REVIEWS, jump=jump, newest=newest)
        execute(_MOVE_CHANGES, jump=jump, newest=newest)
        execute(_MOVE_TROUBLE, jump=jump)
