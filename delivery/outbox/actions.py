"""Actions of users on deliveries, and the effect of a channel's state."""

import json

from clock import MINUTE
from delivery.alerts.causes import CHANNEL_NOT_DELIVERING
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.outbox.statements import NOT_DROPPED, execute
from models import DeliveryState

RETRIABLE_STATES = (
    DeliveryState.PENDING,
    DeliveryState.FAILED,
    DeliveryState.GIVEN_UP,
    DeliveryState.PARKED,
)
CANCELABLE_STATES = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.PARKED)

_HOLD = """
    UPDATE delivery SET state = 'held', cause = :cause
    WHERE channel_id = :channel_id AND state = 'pending'"""
_RELEASE = """
    UPDATE delivery SET state = 'pending', cause = '', due_at = :now, expires_at = :expires_at
    WHERE channel_id = :channel_id AND state = 'held'"""
_RETRY_NOW = """
    UPDATE delivery SET state = 'pending', cause = 'A user requested another attempt.',
        due_at = :now, expires_at = :expires_at, claims = 0, settled_at = NULL
    WHERE id = :id AND state IN (SELECT value FROM json_each(:states))
        AND channel_id NOT IN (SELECT id FROM channel WHERE state = 'paused')
        AND event = (SELECT status FROM alert WHERE id = alert_id)
        AND NOT EXISTS (
            SELECT 1 FROM delivery n WHERE n.alert_id = delivery.alert_id
                AND n.channel_id = delivery.channel_id AND n.id > delivery.id
                AND n.state IN (SELECT value FROM json_each(:newer_states)))"""
_SEND_NOW = """
    UPDATE delivery SET due_at = :now
    WHERE channel_id = :channel_id AND state = 'pending' AND due_at > :now"""
_REVIEW = """
    UPDATE notification SET review_at = :now WHERE channel_id = :channel_id
        AND alert_id IN (SELECT id FROM alert WHERE status = 'open')"""
_SNOOZE = """
    UPDATE delivery SET cause = :cause, due_at = :due_at,
        expires_at = max(expires_at, :min_expires_at)
    WHERE id = :id AND state = 'pending'"""
_CANCEL = """
    UPDATE delivery SET state = 'given_up', cause = :cause, settled_at = :now
    WHERE id = :id AND state IN (SELECT value FROM json_each(:states))"""


def hold(channel_id: int) -> None:
    """Hold the pending deliveries of a channel that stopped delivering."""
    execute(_HOLD, channel_id=channel_id, cause=CHANNEL_NOT_DELIVERING)


def release(channel_id: int, now: int) -> None:
    """Make the held deliveries of a channel due, with a new lifetime."""
    execute(_RELEASE, channel_id=channel_id, now=now, expires_at=now + DELIVERY_LIFETIME)


def send_now(channel_id: int, now: int) -> None:
    """Make the pending deliveries of a channel due: an edit may cure what they wait for."""
    execute(_SEND_NOW, channel_id=channel_id, now=now)


def review_channel(channel_id: int, now: int) -> None:
    """Have the open alerts of a channel planned again, which may have another repeat interval."""
    execute(_REVIEW, channel_id=channel_id, now=now)


def retry_now(delivery_id: int, now: int) -> bool:
    """Make a delivery due now, also a failed, canceled or parked one.

    Return False if its state does not allow that, its channel is paused, its event is no longer
    the status of the alert, or a newer delivery of that alert to that channel exists.
    """
    cursor = execute(
        _RETRY_NOW,
        id=delivery_id,
        states=json.dumps(RETRIABLE_STATES),
        newer_states=json.dumps(NOT_DROPPED),
        now=now,
        expires_at=now + DELIVERY_LIFETIME,
    )
    return cursor.rowcount == 1


def snooze(delivery_id: int, minutes: int, now: int) -> bool:
    """Postpone a pending delivery; return False if it is not pending."""
    due_at = now + minutes * MINUTE
    cursor = execute(
        _SNOOZE,
        id=delivery_id,
        cause=f"A user snoozed the delivery for {minutes} minutes.",
        due_at=due_at,
        min_expires_at=due_at + MINUTE,
    )
    return cursor.rowcount == 1


def cancel(delivery_id: int, user_name: str, now: int) -> bool:
    """Cancel a waiting or parked delivery; return False for other states."""
    cursor = execute(
        _CANCEL,
        id=delivery_id,
        states=json.dumps(CANCELABLE_STATES),
        cause=f"Canceled by {user_name}.",
        now=now,
    )
    return cursor.rowcount == 1
