"""Make the delivery of a change of an alert: its state, its group, and when it is due. Pure."""

from clock import SECOND
from delivery.alerts.causes import CHANNEL_NOT_DELIVERING, SENT_AGAIN, WAITS_FOR_GROUP
from delivery.alerts.grouping import group_key
from delivery.alerts.plans import (
    DELIVERY_LIFETIME,
    NOT_ARRIVED_STATES,
    ChannelRoute,
    LastDelivery,
    NewDelivery,
    RoutingContext,
)
from delivery.alerts.received import AlertChange
from models import ChannelState, DeliveryState


def new_delivery(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    due_at: int = 0,
) -> NewDelivery:
    """Return the delivery of a change, due at that time, or now, with the others of its group."""
    now = context.now
    delivery = NewDelivery(
        event=change.alert.status,
        state=DeliveryState.PENDING,
        created_at=now,
        id=next(context.delivery_ids),
        channel_id=route.channel_id,
        alert_id=change.id,
        due_at=max(due_at, now),
        expires_at=0,
        urgency=change.urgency,
        group_key=_group_of(change, route, last),
    )
    if route.state != ChannelState.DELIVERING:
        delivery.state = DeliveryState.HELD
        delivery.cause = CHANNEL_NOT_DELIVERING
    elif due_at > now:
        delivery.cause = SENT_AGAIN
    elif delivery.group_key:
        delivery.due_at = _due_with_group(route, delivery.group_key, context)
        delivery.cause = WAITS_FOR_GROUP if delivery.due_at > now else ""
    delivery.expires_at = delivery.due_at + DELIVERY_LIFETIME
    if last:
        _continue(delivery, change, last)
    return delivery


def new_dropped(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    cause: str,
) -> NewDelivery:
    """Return a delivery that is stored and never sent, for this cause."""
    delivery = new_delivery(change, route, last, context)
    delivery.state = DeliveryState.DROPPED
    delivery.settled_at = context.now
    delivery.cause = cause
    return delivery


def _continue(delivery: NewDelivery, change: AlertChange, last: LastDelivery) -> None:
    """Give a new delivery what is known from the last one."""
    delivery.is_notified = last.is_notified
    delivery.is_under_way = last.is_under_way
    delivery.changes = last.changes
    delivery.repeated = int(change.was_open and change.is_open and last.is_notified)
    is_same_event = last.event == delivery.event and change.was_open == change.is_open
    if is_same_event and last.state in NOT_ARRIVED_STATES:
        delivery.failures = last.failures + 1


def _group_of(change: AlertChange, route: ChannelRoute, last: LastDelivery | None) -> str:
    """Return the key of an alert's group, which stays until the channel got the closing."""
    if last and (last.is_notified or last.is_under_way):
        return last.group_key
    return group_key(route.group_by, change.labels)


def _due_with_group(route: ChannelRoute, key: str, context: RoutingContext) -> int:
    """Return when a message of a group is due: with the first that waits, or after the wait."""
    due_at = context.now + route.group_wait * SECOND
    first = context.group_due_at(route.channel_id, key)
    return due_at if first is None else max(context.now, min(first, due_at))
