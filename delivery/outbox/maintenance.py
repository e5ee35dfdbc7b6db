"""Regular upkeep of the outbox, and the clock."""

from peewee import fn

from clock import HOUR, MINUTE
from delivery.alerts.routing import DELIVERY_LIFETIME
from delivery.outbox.statements import update_deliveries
from models import Alert, Delivery, DeliveryState, Receipt, db

# The longest step of a schedule, 10 h, with its 20 %.
MAX_DUE_AHEAD = 12 * HOUR + MINUTE

# Runs every second. CROSS JOIN makes SQLite begin with the channels, of which few are failing.
_START_PROBES = """
    UPDATE delivery SET state = 'pending', due_at = :now WHERE id IN (
        SELECT min(d.id) FROM channel c CROSS JOIN delivery d
            ON d.channel_id = c.id AND d.state = 'held'
        WHERE c.state = 'failing' AND (d.due_at <= :now OR d.due_at > :latest) AND NOT EXISTS (
            SELECT 1 FROM delivery b
            WHERE b.channel_id = c.id AND b.state IN ('pending', 'sending'))
        GROUP BY c.id)"""


def sweep(now: int) -> None:
    """Correct due times in a far future, start probes, delete old receipts.

    A probe is one held delivery of a failing channel that has no other under way.
    """
    latest = now + MAX_DUE_AHEAD
    with db.atomic():
        update_deliveries([DeliveryState.PENDING], Delivery.due_at > latest, due_at=now)
        db.execute_sql(_START_PROBES, {"now": now, "latest": latest})
        oldest = now - DELIVERY_LIFETIME
        newest = now + DELIVERY_LIFETIME
        Receipt.delete().where((Receipt.at < oldest) | (Receipt.at > newest)).execute()


def newest_id() -> int:
    """Return the id of the newest delivery, or 0."""
    return db.execute_sql("SELECT coalesce(max(id), 0) FROM delivery").fetchone()[0]


def move_with_clock(jump: int, now: int, newest: int) -> None:
    """Move waiting deliveries and overdue times by a jump of the clock, which now shows `now`.

    Deliveries newer than `newest`, and alerts that were seen since, have their times from the
    clock after the jump.
    """
    unfinished = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.SENDING)
    update_deliveries(
        unfinished,
        Delivery.id <= newest,
        due_at=Delivery.due_at + jump,
        expires_at=Delivery.expires_at + jump,
    )
    seen_before = fn.ABS(Alert.seen_at - now) > abs(jump) // 2
    with_end = Alert.closes_at.is_null(False)
    Alert.update(closes_at=Alert.closes_at + jump).where(with_end, seen_before).execute()
