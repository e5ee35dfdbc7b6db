"""Send deliveries again that have ended, whether they arrived or not.

A delivery is sent again under its own id, by which its receiver can recognize it, and only if it
still tells the truth: an opening whose alert has closed is not sent, nor is anything that a newer
delivery of the same alert to the same channel has replaced. Silences and matchers count as always.
"""

import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from clock import HOUR
from delivery.alerts.alert import AlertStatus
from delivery.alerts.matchers import labels_of, matches
from delivery.alerts.own_alerts import channel_of_key
from delivery.alerts.plans import ACTIVE_STATES, DELIVERY_LIFETIME, ActiveSilence
from delivery.alerts.received import alert_from_json
from delivery.alerts.routing import find_silence
from delivery.outbox.catch_up import catch_up
from delivery.outbox.silences import active_silences, read_matchers
from delivery.outbox.statements import NOT_DROPPED, execute, execute_many
from models import ChannelState, DeliveryState, db

_ARRIVED = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED)
# A user has canceled it, or it has crashed the worker: it has buttons of its own on its page.
_SET_ASIDE = (DeliveryState.GIVEN_UP, DeliveryState.PARKED)

_ENDED = """
    SELECT d.id, d.event, d.state, a.status, a.key, a.body, c.state, c.matchers,
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
    UPDATE delivery SET state = 'pending', cause = :cause, due_at = :due_at,
        expires_at = :expires_at, claims = 0, retries = 0, not_found = 0, settled_at = NULL,
        group_key = iif(:group_key = '', group_key, :group_key)
    WHERE id = :id"""
_NOTE = """
    UPDATE notification SET delivery_id = :id, silence_id = NULL
    WHERE (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery WHERE id = :id)"""


_END_DIGEST = """
    UPDATE delivery SET due_at = :now, expires_at = :expires_at
    WHERE state = 'pending' AND group_key = :digest AND group_key <> ''
        AND state IN ('pending', 'sending') AND channel_id IN (SELECT id FROM channel)"""
# A service that keeps incidents gets no digest.
_SEND_APART = """
    UPDATE delivery SET due_at = :now, expires_at = :now + :lifetime
    WHERE id = :id AND state = 'pending' AND group_key <> :group_key"""
MAX_DIGEST_WAIT = HOUR


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
    SET_ASIDE = "set aside"
    PAUSED = "paused"
    SILENCED = "silenced"
    UNMATCHED = "unmatched"
    NOT_CHOSEN = "not chosen"


SENDABLE = (Redelivery.OPENING, Redelivery.RESOLUTION)


class _Ended(NamedTuple):
    """What decides about a delivery; `has_newer` says that a newer one has replaced it."""

    id: int
    event: str
    state: str
    status: str
    alert_key: str
    alert_body: str
    channel_state: str
    matchers: str
    is_notified: bool
    has_newer: bool

    @property
    def is_closing(self) -> bool:
        """Whether it reports the end of its alert."""
        return self.event == AlertStatus.CLOSED


class Look(NamedTuple):
    """How many deliveries have which prospect, and how many of the sendable ones have arrived."""

    counts: Counter[Redelivery]
    arrived: int


def look(ids: Iterable[int], now: int) -> Look:
    """Return what a replay of deliveries would do, if everything is chosen."""
    counts: Counter[Redelivery] = Counter()
    arrived = 0
    silences = active_silences(now)
    for delivery in _read(ids):
        prospect = _judge(delivery, silences)
        counts[prospect] += 1
        arrived += prospect in SENDABLE and delivery.state in _ARRIVED
    return Look(counts, arrived)


def redeliver(
    ids: Iterable[int], choice: ReplayChoice, by: str, now: int, digest: str = ""
) -> Counter[Redelivery]:
    """Send deliveries again that have ended; return how many had which result.

    `digest` is the group key of the one message that a channel gets, if that is the choice. They
    wait for `end_digest`, at most an hour.
    """
    counts: Counter[Redelivery] = Counter()
    rows = []
    with db.atomic():
        silences = active_silences(now)
        for delivery in _read(ids):
            result = _judge(delivery, silences)
            if result == Redelivery.RESOLUTION and choice == ReplayChoice.OPEN:
                result = Redelivery.NOT_CHOSEN
            counts[result] += 1
            if result in SENDABLE:
                rows.append({"id": delivery.id})
        due_at = now + bool(digest) * MAX_DIGEST_WAIT
        shared = {
            "cause": f"Redelivered by {by}.",
            "now": now,
            "due_at": due_at,
            "expires_at": due_at + DELIVERY_LIFETIME,
            "group_key": digest,
        }
        execute_many(_SEND_AGAIN, ({**row, **shared} for row in rows))
        execute_many(_NOTE, rows)
        catch_up([row["id"] for row in rows], now)
        if digest:
            lifetime = {"lifetime": DELIVERY_LIFETIME}
            execute_many(_SEND_APART, ({**row, **shared, **lifetime} for row in rows))
    return counts


def end_digest(digest: str, now: int) -> None:
    """Make the deliveries of a digest due, all of which are there now."""
    execute(_END_DIGEST, digest=digest, now=now, expires_at=now + DELIVERY_LIFETIME)


def _read(ids: Iterable[int]) -> list[_Ended]:
    parameters = {"ids": json.dumps(list(ids)), "newer_states": json.dumps(NOT_DROPPED)}
    return list(map(_Ended._make, execute(_ENDED, **parameters)))


def _judge(delivery: _Ended, silences: list[ActiveSilence]) -> Redelivery:
    """Return whether a delivery is sent again, or why not."""
    if delivery.state in ACTIVE_STATES:
        return Redelivery.UNDER_WAY
    if obsolete := _judge_truth(delivery):
        return obsolete
    if delivery.state in _SET_ASIDE:
        return Redelivery.SET_ASIDE
    if delivery.channel_state == ChannelState.PAUSED:
        return Redelivery.PAUSED
    if delivery.is_closing:
        return Redelivery.RESOLUTION
    return _judge_opening(delivery, silences)


def _judge_truth(delivery: _Ended) -> Redelivery | None:
    """Return why a message would not be true any more, or None."""
    is_closing = delivery.is_closing
    is_open = delivery.status == AlertStatus.OPEN
    if delivery.has_newer or (is_closing and is_open):
        return Redelivery.NEWER
    is_unknown = is_closing and not delivery.is_notified and delivery.state not in _ARRIVED
    if is_unknown or not (is_closing or is_open):
        return Redelivery.CLOSED_SINCE
    return None


def _judge_opening(delivery: _Ended, silences: list[ActiveSilence]) -> Redelivery:
    labels = labels_of(alert_from_json(delivery.alert_body))
    if find_silence(labels, silences):
        return Redelivery.SILENCED
    # An alert about a channel goes to the fallback, whatever that matches.
    is_own = channel_of_key(delivery.alert_key) is not None
    if not (is_own or matches(read_matchers(delivery.matchers), labels)):
        return Redelivery.UNMATCHED
    return Redelivery.OPENING
