"""Claim due deliveries for the worker, before they are sent."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from delivery.alerts.alert import Alert, AlertStatus, to_status
from delivery.alerts.causes import EXPIRED, NO_LONGER_MATCHES
from delivery.alerts.matchers import labels_of, matches
from delivery.alerts.received import alert_from_json, snapshot_of
from delivery.alerts.routing import find_silence
from delivery.outbox.catch_up import catch_up, withdraw_closings
from delivery.outbox.silences import active_silences, drop, read_matchers
from delivery.outbox.statements import execute, execute_many
from models import db

MAX_CRASHES = 3
MAX_PER_CHANNEL = 4

_FIRST_DUE = """
    SELECT min((SELECT min(due_at) FROM delivery WHERE channel_id = c.id AND state = 'pending'))
    FROM channel c WHERE c.deleted_at IS NULL"""
_CRASH_SUSPECT = """
    SELECT 1 FROM delivery WHERE claims > 0 AND state IN ('pending', 'held', 'sending') LIMIT 1"""
# CROSS JOIN keeps SQLite from another order than channels first, with their own due deliveries.
_DUE = """
    SELECT d.id, d.channel_id, d.attempts + 1, d.repeated, d.created_at, d.expires_at,
        iif(d.config_hash = c.config_hash, d.body, NULL), c.config_hash, d.claims, d.retries,
        d.not_found, d.event, a.id, a.body, notified.snapshot, c.matchers,
        iif(notified.id IS NULL, coalesce(d.opening, a.changed_at), notified.opening)
    FROM channel c CROSS JOIN delivery d ON d.id IN (
        SELECT id FROM delivery p
        WHERE p.channel_id = c.id AND p.state = 'pending' AND p.due_at <= :now
            AND (p.claims > 0) = :is_suspect
            AND NOT EXISTS (
                SELECT 1 FROM delivery o WHERE o.alert_id = p.alert_id
                    AND o.channel_id = p.channel_id AND o.state IN ('pending', 'sending')
                    AND (o.state = 'sending' OR o.id < p.id))
        ORDER BY p.due_at, p.id LIMIT :max_per_channel)
    JOIN alert a ON a.id = d.alert_id
    LEFT JOIN notification n ON n.alert_id = d.alert_id AND n.channel_id = d.channel_id
    LEFT JOIN delivery notified ON notified.id = n.notified_id
    WHERE c.deleted_at IS NULL AND c.id NOT IN (SELECT value FROM json_each(:full))
        AND (:others > 0 OR c.id IN (SELECT value FROM json_each(:known)))
    ORDER BY d.due_at, d.id LIMIT :max_count"""
_EXPIRE = """
    UPDATE delivery INDEXED BY delivery_pending
    SET state = 'failed', cause = :cause, settled_at = :now
    WHERE state = 'pending' AND due_at <= :now AND expires_at <= :now
        AND channel_id IN (SELECT id FROM channel)"""
_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :cause, settled_at = :now WHERE id = :id"""
_CLAIM = """
    UPDATE delivery SET state = 'sending', attempts = attempts + 1,
        snapshot = iif(:body IS NULL, :snapshot, snapshot),
        opening = iif(:body IS NULL, :opening, opening)
    WHERE id = :id"""
_STORE_BODY = "UPDATE delivery SET body = :body, config_hash = :config_hash WHERE id = :id"
_COUNT_CRASH = """
    UPDATE delivery SET claims = claims + 1
    WHERE state = 'sending' AND (id = :crashed_on OR (:crashed AND NOT :crashed_on))"""
_PARK = """
    UPDATE delivery SET state = 'parked', cause = :cause, settled_at = :now
    WHERE state = 'sending' AND claims >= :max_crashes"""
# What the dead worker had under way may have arrived, unless no body was stored for it yet.
_NOTE_OPENING = """
    UPDATE notification SET notified_id = d.id FROM delivery d
    WHERE d.state = 'sending' AND d.event = 'open' AND d.body IS NOT NULL AND d.id <> :crashed_on
        AND notification.alert_id = d.alert_id AND notification.channel_id = d.channel_id
        AND notification.notified_id IS NULL"""
_IN_FLIGHT = "SELECT id FROM delivery WHERE state = 'sending'"
_TAKE_OVER = """
    UPDATE delivery SET due_at = min(due_at, :now), state = iif(
        (SELECT state FROM channel WHERE id = channel_id) = 'delivering', 'pending', 'held')
    WHERE state = 'sending'"""


class NewBody(NamedTuple):
    """The body of a delivery, and the configuration that it was built for."""

    id: int
    body: str
    config_hash: str


class ClaimedDelivery(NamedTuple):
    """A delivery that the worker sends now.

    `attempt` is the number of this attempt. `body` is that of the earlier attempts, if the channel
    still has their configuration; `config_hash` is its configuration at the claim. `retries` counts
    the steps of the schedule that were taken, `not_found` the retries after 404. `notified` is the
    snapshot of the opening that the channel was notified of, `matchers` are the channel's. The
    `opening` is that one's: vendors keep the key of an alert until a resolution arrives. Otherwise
    it is when the alert opened.
    """

    id: int
    channel_id: int
    attempt: int
    repeated: int
    created_at: int
    expires_at: int
    body: str | None
    config_hash: str
    crashes: int
    retries: int
    not_found: int
    event: str
    alert_id: int
    alert_body: str
    notified: str | None
    matchers: str
    opening: int | None = None

    @property
    def alert(self) -> Alert:
        """The alert, with the status of the delivery's event."""
        alert = alert_from_json(self.alert_body)
        return replace(alert, id=str(self.alert_id), status=to_status(self.event))

    @property
    def notified_alert(self) -> Alert | None:
        """The name and the labels that the channel knows the alert by; None before an opening."""
        return None if self.notified is None else alert_from_json(self.notified)


def next_due(now: int) -> int | None:
    """Return the milliseconds until a pending delivery is due; None without any."""
    due_at = execute(_FIRST_DUE).fetchone()[0]
    return None if due_at is None else max(0, due_at - now)


def oldest_due_age(now: int) -> int:
    """Return for how many milliseconds the oldest pending delivery has been due; 0 if none is."""
    due_at = execute(_FIRST_DUE).fetchone()[0]
    return 0 if due_at is None else max(0, now - due_at)


def claim(
    now: int,
    *,
    max_count: int,
    room: Mapping[int, int],
    others: int = MAX_PER_CHANNEL,
    with_suspect: bool = True,
) -> list[ClaimedDelivery]:
    """Claim due deliveries, oldest first, and count an attempt of each.

    At most `max_count` are claimed, of each channel as many as `room` has for it, and of each
    channel that is not in `room` at most `others`. Of an alert and a channel, one at a time is
    under way: a closing never overtakes its opening. Of the deliveries that may have crashed a
    worker, at most one is claimed (none unless `with_suspect`): if the worker crashes again, that
    one did it.

    A delivery that has expired fails instead. An opening is dropped if a silence matches its alert,
    and superseded if the matchers of the channel no longer do.
    """
    left = defaultdict(lambda: others, room)
    claimed = []
    with db.atomic():
        for delivery in _without_unwanted(_due(now, max_count, room, others, with_suspect), now):
            if left[delivery.channel_id] > 0:
                left[delivery.channel_id] -= 1
                claimed.append(delivery)
        execute_many(_CLAIM, map(_claim_columns, claimed))
    return claimed


def _without_unwanted(deliveries: list[ClaimedDelivery], now: int) -> list[ClaimedDelivery]:
    """Drop or supersede the openings that may not be sent, and return the other deliveries."""
    silences = active_silences(now)
    wanted = []
    dropped = []
    superseded = []
    for delivery in deliveries:
        if delivery.event == AlertStatus.CLOSED or not (silences or delivery.matchers):
            wanted.append(delivery)
            continue
        labels = labels_of(delivery.alert)
        silence = find_silence(labels, silences)
        if not matches(read_matchers(delivery.matchers), labels):
            superseded.append({"id": delivery.id, "cause": NO_LONGER_MATCHES, "now": now})
        elif silence:
            dropped.append((delivery.id, silence))
        else:
            wanted.append(delivery)
    drop(dropped, now)
    execute_many(_SUPERSEDE, superseded)
    return wanted


def _due(
    now: int, max_count: int, room: Mapping[int, int], others: int, with_suspect: bool
) -> list[ClaimedDelivery]:
    """Return due deliveries; if one of them has expired, all that have do."""
    full = json.dumps([channel_id for channel_id, free in room.items() if free <= 0])
    channels = {"full": full, "known": json.dumps(list(room)), "others": others}
    due = partial(execute, _DUE, now=now, max_per_channel=MAX_PER_CHANNEL, **channels)
    while True:
        rows = due(max_count=max_count, is_suspect=0).fetchall()
        if with_suspect:
            rows += due(max_count=1, is_suspect=1).fetchall()
        deliveries = list(map(ClaimedDelivery._make, rows))
        if all(delivery.expires_at > now for delivery in deliveries):
            return deliveries
        execute(_EXPIRE, cause=EXPIRED, now=now)


def _claim_columns(delivery: ClaimedDelivery) -> dict:
    snapshot = snapshot_of(delivery.alert) if delivery.body is None else None
    return {**delivery._asdict(), "snapshot": snapshot}


def store_bodies(bodies: Iterable[NewBody]) -> None:
    """Store the bodies of deliveries before they are sent for the first time."""
    execute_many(_STORE_BODY, map(NewBody._asdict, bodies))


def take_over(now: int, crashed_on: int = 0, crashed: bool = False) -> int:
    """Make the deliveries of an earlier worker pending again; return how many.

    `crashed_on` is the delivery whose message that worker was building when it ended. If it
    crashed otherwise, every delivery under way is a suspect. A delivery is parked after three
    crashes.
    """
    cause = f"It crashed the worker {MAX_CRASHES} times: parked, so that others are sent."
    with db.atomic():
        in_flight = [delivery_id for (delivery_id,) in execute(_IN_FLIGHT)]
        execute(_NOTE_OPENING, crashed_on=crashed_on)
        execute(_COUNT_CRASH, crashed_on=crashed_on, crashed=crashed)
        execute(_PARK, max_crashes=MAX_CRASHES, cause=cause, now=now)
        taken_over = execute(_TAKE_OVER, now=now).rowcount
        catch_up(in_flight, now)
        withdraw_closings(in_flight, now)
    return taken_over


def has_crash_suspects() -> bool:
    """Return True if a waiting delivery may have crashed a worker; reads all of them."""
    return execute(_CRASH_SUSPECT).fetchone() is not None
