"""Claim due deliveries for the worker, before they are sent."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.routing import alert_from_json
from delivery.outbox.statements import execute, execute_many
from models import db

MAX_CRASHES = 3
MAX_PER_CHANNEL = 4

_NEXT_DUE = "SELECT max(0, min(due_at) - :now) FROM delivery WHERE state = 'pending'"
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
        ORDER BY p.due_at, p.id LIMIT :max_per_channel)
    JOIN alert a ON a.id = d.alert_id
    WHERE c.id NOT IN (SELECT value FROM json_each(:full))
    ORDER BY d.due_at, d.id LIMIT :max_count"""
_CLAIM = "UPDATE delivery SET state = 'sending', attempts = attempts + 1 WHERE id = :id"
_STORE_BODY = "UPDATE delivery SET body = ?2 WHERE id = ?1 AND body IS NULL"
_COUNT_CRASH = """
    UPDATE delivery SET claims = claims + 1
    WHERE state = 'sending' AND (id = :crashed_on OR (:crashed AND NOT :crashed_on))"""
_PARK = """
    UPDATE delivery SET state = 'parked', cause = :cause, settled_at = :now
    WHERE state = 'sending' AND claims >= :max_crashes"""
_TAKE_OVER = """
    UPDATE delivery SET due_at = min(due_at, :now), state = iif(
        (SELECT state FROM channel WHERE id = channel_id) = 'delivering', 'pending', 'held')
    WHERE state = 'sending'"""


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
        alert = alert_from_json(self.alert_body)
        return replace(alert, id=str(self.alert_id), status=AlertStatus(self.event))


def next_due(now: int) -> int | None:
    """Return the milliseconds until a pending delivery is due; None without any."""
    return execute(_NEXT_DUE, now=now).fetchone()[0]


def claim(
    now: int,
    *,
    max_count: int,
    room: Mapping[int, int],
    with_suspect: bool = True,
) -> list[ClaimedDelivery]:
    """Claim due deliveries, oldest first, and count an attempt of each.

    At most `max_count` are claimed, and of each channel as many as `room` has for it, or
    MAX_PER_CHANNEL. Of an alert and a channel, one at a time is under way: a closing never
    overtakes its opening. Of the deliveries that may have crashed a worker, at most one is
    claimed (none unless `with_suspect`): if the worker crashes again, that one did it.
    """
    full = json.dumps([channel_id for channel_id, free in room.items() if free <= 0])
    due = partial(execute, _DUE, now=now, max_per_channel=MAX_PER_CHANNEL, full=full)
    left = defaultdict(lambda: MAX_PER_CHANNEL, room)
    claimed = []
    with db.atomic():
        rows = due(max_count=max_count, is_suspect=0).fetchall()
        if with_suspect:
            rows += due(max_count=1, is_suspect=1).fetchall()
        for delivery in map(ClaimedDelivery._make, rows):
            if left[delivery.channel_id] > 0:
                left[delivery.channel_id] -= 1
                claimed.append(delivery)
        execute_many(_CLAIM, map(ClaimedDelivery._asdict, claimed))
    return claimed


def store_bodies(bodies: Mapping[int, str]) -> None:
    """Store the bodies of deliveries, by id, before they are sent for the first time."""
    if bodies:
        with db.atomic():
            execute_many(_STORE_BODY, bodies.items())


def take_over(now: int, crashed_on: int = 0, crashed: bool = False) -> int:
    """Make the deliveries of an earlier worker pending again; return how many.

    `crashed_on` is the delivery whose message that worker was building when it ended. If it
    crashed otherwise, every delivery under way is a suspect. A delivery is parked after three
    crashes.
    """
    cause = f"It crashed the worker {MAX_CRASHES} times: parked, so that others are sent."
    with db.atomic():
        execute(_COUNT_CRASH, crashed_on=crashed_on, crashed=crashed)
        execute(_PARK, max_crashes=MAX_CRASHES, cause=cause, now=now)
        return execute(_TAKE_OVER, now=now).rowcount


def has_crash_suspects() -> bool:
    """Return True if a waiting delivery may have crashed a worker; reads all of them."""
    return execute(_CRASH_SUSPECT).fetchone() is not None
