"""Claim due deliveries for the worker, before they are sent."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from peewee import fn

from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.routing import alert_from_json
from delivery.outbox.statements import execute_many, update_deliveries
from models import Channel, ChannelState, Delivery, DeliveryState, db

MAX_CRASHES = 3

_NEXT_DUE = "SELECT min(due_at) FROM delivery WHERE state = 'pending'"
_CRASH_SUSPECT = """
    SELECT 1 FROM delivery WHERE claims > 0 AND state IN ('pending', 'held', 'sending') LIMIT 1"""
# CROSS JOIN keeps SQLite from another order than channels first, with their own due deliveries.
_DUE = """
    SELECT d.id, d.channel_id, d.attempts + 1, d.repeated, d.created_at, d.expires_at, d.body,
        d.claims, (SELECT count(*) FROM attempt t WHERE t.delivery_id = d.id), d.event, a.id, a.body
    FROM channel c CROSS JOIN delivery d ON d.id IN (
        SELECT id FROM delivery p
        WHERE p.channel_id = c.id AND p.state = 'pending' AND p.due_at <= :now
            AND (p.claims > 0) = :is_suspect
            AND NOT EXISTS (
                SELECT 1 FROM delivery o WHERE o.alert_id = p.alert_id
                    AND o.channel_id = p.channel_id
                    AND (o.state = 'sending' OR (o.state = 'pending' AND o.id < p.id)))
        ORDER BY p.due_at, p.id LIMIT :per_channel)
    JOIN alert a ON a.id = d.alert_id
    WHERE c.id NOT IN (SELECT value FROM json_each(:full))
    ORDER BY d.due_at, d.id LIMIT :max_count"""
_CLAIM = "UPDATE delivery SET state = 'sending', attempts = attempts + 1 WHERE id = :id"
_STORE_BODY = "UPDATE delivery SET body = :body WHERE id = :id AND body IS NULL"


class ClaimedDelivery(NamedTuple):
    """A delivery that the worker sends now.

    `attempt` is the number of this attempt. `finished_attempts` counts the earlier ones that came
    to an end: an attempt that the worker did not survive takes no step of the schedule.
    """

    id: int
    channel_id: int
    attempt: int
    repeated: int
    created_at: int
    expires_at: int
    body: str | None
    crashes: int
    finished_attempts: int
    event: str
    alert_id: int
    alert_body: str

    @property
    def alert(self) -> Alert:
        """The alert, with the status of the delivery's event."""
        stored = alert_from_json(self.alert_body)
        return replace(stored, id=str(self.alert_id), status=AlertStatus(self.event))


def next_due(now: int) -> int | None:
    """Return the milliseconds until a pending delivery is due; None without any."""
    due_at = db.execute_sql(_NEXT_DUE).fetchone()[0]
    if due_at is None:
        return None
    return max(0, due_at - now)


def claim(
    now: int,
    *,
    max_count: int,
    per_channel: int,
    room: Mapping[int, int],
    with_suspect: bool = True,
) -> list[ClaimedDelivery]:
    """Claim due deliveries, oldest first, and count an attempt of each.

    At most `max_count` are claimed, and `per_channel` of each channel, or as many as `room` has
    for it. Of an alert and a channel, one at a time is under way: a closing never overtakes its
    opening. Of the deliveries that may have crashed a worker, at most one is claimed (none unless
    `with_suspect`): if the worker crashes again, that one did it.
    """
    full = [channel_id for channel_id, free in room.items() if free <= 0]
    parameters = {
        "now": now,
        "per_channel": per_channel,
        "full": json.dumps(full),
        "max_count": max_count,
        "is_suspect": 0,
    }
    left = dict(room)
    claimed = []
    with db.atomic():
        rows = db.execute_sql(_DUE, parameters).fetchall()
        if with_suspect:
            parameters |= {"max_count": 1, "is_suspect": 1}
            rows += db.execute_sql(_DUE, parameters).fetchall()
        for delivery in map(ClaimedDelivery._make, rows):
            free = left.get(delivery.channel_id, per_channel)
            if free > 0:
                left[delivery.channel_id] = free - 1
                claimed.append(delivery)
        execute_many(_CLAIM, [{"id": delivery.id} for delivery in claimed])
    return claimed


def store_bodies(bodies: Mapping[int, str]) -> None:
    """Store the bodies of deliveries, by id, before they are sent for the first time."""
    if bodies:
        with db.atomic():
            rows = ({"id": delivery_id, "body": body} for delivery_id, body in bodies.items())
            execute_many(_STORE_BODY, rows)


def take_over(now: int, crashed_on: int = 0, crashed: bool = False) -> int:
    """Make the deliveries of an earlier worker pending again; return how many.

    `crashed_on` is the delivery whose message that worker was building when it ended. If it
    crashed otherwise, every delivery under way is a suspect. A delivery is parked after three
    crashes.
    """
    under_way = [DeliveryState.SENDING]
    delivering = Channel.select(Channel.id).where(Channel.state == ChannelState.DELIVERING)
    to_delivering = Delivery.channel << delivering
    due_at = fn.MIN(Delivery.due_at, now)
    with db.atomic():
        if crashed_on:
            update_deliveries(under_way, Delivery.id == crashed_on, claims=Delivery.claims + 1)
        elif crashed:
            update_deliveries(under_way, claims=Delivery.claims + 1)
        update_deliveries(
            under_way,
            Delivery.claims >= MAX_CRASHES,
            state=DeliveryState.PARKED,
            cause=f"It crashed the worker {MAX_CRASHES} times: parked, so that others are sent.",
            settled_at=now,
        )
        pending = update_deliveries(
            under_way, to_delivering, state=DeliveryState.PENDING, due_at=due_at
        )
        return pending + update_deliveries(under_way, state=DeliveryState.HELD, due_at=due_at)


def has_crash_suspects() -> bool:
    """Return True if a waiting delivery may have crashed a worker; reads all of them."""
    return db.execute_sql(_CRASH_SUSPECT).fetchone() is not None
