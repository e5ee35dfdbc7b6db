"""Actions of users on deliveries, and the effect of a channel's state."""

from peewee import fn

from clock import MINUTE
from delivery.alerts.routing import CHANNEL_NOT_DELIVERING, DELIVERY_LIFETIME
from delivery.outbox.statements import update_deliveries
from models import Channel, ChannelState, Delivery, DeliveryState

RETRIABLE_STATES = (
    DeliveryState.PENDING,
    DeliveryState.FAILED,
    DeliveryState.GIVEN_UP,
    DeliveryState.PARKED,
)
CANCELABLE_STATES = (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.PARKED)


def hold(channel_id: int, due_at: int) -> None:
    """Hold the pending deliveries of a channel that stopped delivering."""
    update_deliveries(
        [DeliveryState.PENDING],
        Delivery.channel == channel_id,
        state=DeliveryState.HELD,
        cause=CHANNEL_NOT_DELIVERING,
        due_at=due_at,
    )


def release(channel_id: int, now: int) -> None:
    """Make the held deliveries of a channel due, with a new lifetime."""
    update_deliveries(
        [DeliveryState.HELD],
        Delivery.channel == channel_id,
        state=DeliveryState.PENDING,
        cause="",
        due_at=now,
        expires_at=now + DELIVERY_LIFETIME,
    )


def retry_now(delivery_id: int, now: int) -> bool:
    """Make a delivery due now, also a failed, canceled or parked one.

    Return False if its state does not allow that, its channel is paused, or a newer delivery of
    the same alert to the same channel exists.
    """
    newer = Delivery.alias()
    newer_deliveries = newer.select(newer.id).where(
        newer.alert == Delivery.alert,
        newer.channel == Delivery.channel,
        newer.id > Delivery.id,
        newer.state != DeliveryState.DROPPED,
    )
    paused_channels = Channel.select(Channel.id).where(Channel.state == ChannelState.PAUSED)
    updated = update_deliveries(
        RETRIABLE_STATES,
        Delivery.id == delivery_id,
        Delivery.channel.not_in(paused_channels),
        ~fn.EXISTS(newer_deliveries),
        state=DeliveryState.PENDING,
        cause="A user requested another attempt.",
        due_at=now,
        expires_at=now + DELIVERY_LIFETIME,
        claims=0,
        settled_at=None,
    )
    return updated == 1


def snooze(delivery_id: int, minutes: int, now: int) -> bool:
    """Postpone a pending delivery; return False if it is not pending."""
    due_at = now + minutes * MINUTE
    updated = update_deliveries(
        [DeliveryState.PENDING],
        Delivery.id == delivery_id,
        cause=f"A user snoozed the delivery for {minutes} minutes.",
        due_at=due_at,
        expires_at=fn.MAX(Delivery.expires_at, due_at + MINUTE),
    )
    return updated == 1


def cancel(delivery_id: int, user_name: str, now: int) -> bool:
    """Cancel a waiting or parked delivery; return False for other states."""
    updated = update_deliveries(
        CANCELABLE_STATES,
        Delivery.id == delivery_id,
        state=DeliveryState.GIVEN_UP,
        cause=f"Canceled by {user_name}.",
        settled_at=now,
    )
    return updated == 1
