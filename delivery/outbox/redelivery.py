"""Send deliveries again that have ended, whether they arrived or not.

A delivery is sent again under its own id, by which its receiver can recognize it, and only if it
still tells the truth: an opening whose alert has closed is not sent, nor is anything that a newer
delivery of the same alert to the same channel has replaced.
"""

import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from delivery.alerts.alert import AlertStatus
from delivery.alerts.plans import ACTIVE_STATES, DELIVERY_LIFETIME
from delivery.outbox.catch_up import catch_up
from delivery.outbox.statements import NOT_DROPPED, execute, execute_many
from models import ChannelState, DeliveryState, db

_ARRIVED = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED)

_ENDED = """
    SELECT d.id, d.event, d.state, a.status, c.state, n.silence_id IS NOT NULL,
        n.notified_id IS NOT NULL, EXISTS (
            SELECT 1 FROM delivery o WHERE o.alert_id = d.alert_id
                AND o.channel_id = d.channel_id AND o.id > d.id
                AND o.state IN (SELECT value FROM json_each(:newer_states)))
    FROM delivery d
    JOIN alert a ON a.id = d.alert_id
    JOIN channel c ON c.id = d.channel_id AND c.deleted_at IS NULL
    LEFT JOIN notification n ON n.alert_id = d.alert_id AND n.channel_id = d.channel_id
    WHERE d.id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids)) ORDER BY d.id"""
_SEND_AGAIN = """
    UPDATE delivery SET state = 'pending', cause = :cause, due_at = :now, expires_at = :expires_at,
        claims = 0, retries = 0, not_found = 0, settled_at = NULL,
        group_key = iif(:group_key = '', group_key, :group_key)
    WHERE id = :id"""
# A resolution is withdrawn unless the channel may believe that the alert is open.
_NOTE = """
    UPDATE notification SET delivery_id = :id, silence_id = NULL,
        notified_id = iif(:is_closing AND notified_id IS NULL, :id, notified_id)
    WHERE (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery WHERE id = :id)"""


class ReplayChoice(StrEnum):
    """Which of the deliveries are sent again, and how."""

    OPEN = "open"
    ALL = "all"
    DIGEST = "digest"


class Redelivery(StrEnum):
    """What becomes of a delivery in a replay: it is sent again, or left out for a reason."""

    OPENING = "opening"
    RESOLUTION = "resolution"
    CLOSED_SINCE = "closed since"
    NEWER = "newer"
    UNDER_WAY = "under way"
    PAUSED = "paused"
    SILENCED = "silenced"
    NOT_CHOSEN = "not chosen"


SENDABLE = (Redelivery.OPENING, Redelivery.RESOLUTION)


class _Ended(NamedTuple):
    """What decides about a delivery; `has_newer` says that a newer one has replaced it."""

    id: int
    event: str
    state: str
    status: str
    channel_state: str
    is_silenced: bool
    is_notified: bool
    has_newer: bool


class Look(NamedTuple):
    """How many deliveries have which prospect, and how many of the sendable ones have arrived."""

    counts: Counter[Redelivery]
    arrived: int


def look(ids: Iterable[int]) -> Look:
    """Return what a replay of deliveries would do, if everything is chosen."""
    counts: Counter[Redelivery] = Counter()
    arrived = 0
    for delivery in _read(ids):
        prospect = _judge(delivery)
        counts[prospect] += 1
        arrived += prospect in SENDABLE and delivery.state in _ARRIVED
    return Look(counts, arrived)


def redeliver(
    ids: Iterable[int], choice: ReplayChoice, by: str, now: int, digest: str = ""
) -> Counter[Redelivery]:
    """Send deliveries again that have ended; return how many had which result.

    `digest` is the group key of the one message that a channel gets, if that is the choice.
    """
    counts: Counter[Redelivery] = Counter()
    rows = []
    with db.atomic():
        for delivery in _read(ids):
            result = _judge(delivery)
            if result == Redelivery.RESOLUTION and choice == ReplayChoice.OPEN:
                result = Redelivery.NOT_CHOSEN
            counts[result] += 1
            if result in SENDABLE:
                rows.append({"id": delivery.id, "is_closing": result == Redelivery.RESOLUTION})
        shared = {
            "cause": f"Redelivered by {by}.",
            "now": now,
            "expires_at": now + DELIVERY_LIFETIME,
            "group_key": digest,
        }
        execute_many(_SEND_AGAIN, ({**row, **shared} for row in rows))
        execute_many(_NOTE, rows)
        catch_up([row["id"] for row in rows], now)
    return counts


def _read(ids: Iterable[int]) -> list[_Ended]:
    parameters = {"ids": json.dumps(list(ids)), "newer_states": json.dumps(NOT_DROPPED)}
    return list(map(_Ended._make, execute(_ENDED, **parameters)))


def _judge(delivery: _Ended) -> Redelivery:
    """Return whether a delivery is sent again, or why not."""
    is_closing = delivery.event == AlertStatus.CLOSED
    if delivery.state in ACTIVE_STATES:
        return Redelivery.UNDER_WAY
    if obsolete := _judge_truth(delivery, is_closing):
        return obsolete
    if delivery.channel_state == ChannelState.PAUSED:
        return Redelivery.PAUSED
    if is_closing:
        return Redelivery.RESOLUTION
    return Redelivery.SILENCED if delivery.is_silenced else Redelivery.OPENING


def _judge_truth(delivery: _Ended, is_closing: bool) -> Redelivery | None:
    """Return why a message would not be true any more, or None."""
    is_open = delivery.status == AlertStatus.OPEN
    if delivery.has_newer or (is_closing and is_open):
        return Redelivery.NEWER
    is_unknown = is_closing and not delivery.is_notified and delivery.state not in _ARRIVED
    if is_unknown or not (is_closing or is_open):
        return Redelivery.CLOSED_SINCE
    return None
