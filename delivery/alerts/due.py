"""Decide when an open alert is due for a channel. Pure."""

from clock import MINUTE
from delivery import retry
from delivery.alerts.matchers import labels_of
from delivery.alerts.plans import ACTIVE_STATES, NOT_ARRIVED_STATES, ChannelRoute, LastDelivery
from delivery.alerts.received import AlertChange, alert_from_json
from delivery.content.severity import SEVERITY_LABELS
from models import Channel, Delivery, DeliveryState


def opening_due_at(
    change: AlertChange, route: ChannelRoute, last: LastDelivery | None, now: int
) -> int | None:
    """Return when the delivery of an opening is due; None if there is nothing to send."""
    if last is None:
        return now if change.received else None
    if not (change.was_open and last.is_opening) or _is_changed(change, route, last):
        return now
    if last.state in ACTIVE_STATES:
        return None
    return _due_again_at(change, route, last, now)


def _due_again_at(
    change: AlertChange, route: ChannelRoute, last: LastDelivery, now: int
) -> int | None:
    """Return when an open alert is due after a delivery of its opening has ended."""
    if last.state in (DeliveryState.DROPPED, DeliveryState.SUPERSEDED):
        return now
    interval = route.repeat_minutes * MINUTE
    if interval and now - last.created_at >= interval:
        return now
    is_called_for = change.received or last.is_silenced
    if last.state not in NOT_ARRIVED_STATES or not is_called_for:
        return None
    return next_step(route, last, last.failures, now)


def next_step(
    channel: ChannelRoute | Channel, last: LastDelivery | Delivery, failures: int, now: int
) -> int:
    """Return when a delivery that did not arrive may be followed by another one.

    `failures` deliveries in a row did not arrive before it. After an edit of the channel, it is
    now.
    """
    if last.config_hash and last.config_hash != channel.config_hash:
        return now
    wait = retry.wait_after_failures(failures, retry.steps_or_default(channel.retries))
    return max(now, (last.settled_at or now) + wait * 1000)


def _is_changed(change: AlertChange, route: ChannelRoute, last: LastDelivery) -> bool:
    """Return True if labels changed that notify again, since the last message was built."""
    if last.snapshot is None or last.snapshot == change.snapshot:
        return False
    names = names_that_notify(route)
    labels = labels_of(alert_from_json(last.snapshot))
    return any(labels.get(name, "") != change.labels.get(name, "") for name in names)


def names_that_notify(route: ChannelRoute) -> frozenset[str]:
    """Return the labels whose change notifies again: the severity and those of the matchers."""
    return frozenset([*SEVERITY_LABELS, *(matcher.name for matcher in route.matchers)])


def next_repeat(route: ChannelRoute, last: LastDelivery | None, now: int) -> int | None:
    """Return when an opening that is not due now may be due by the repeat interval."""
    if last is None or not last.is_opening or not route.repeat_minutes:
        return None
    return max(last.created_at + route.repeat_minutes * MINUTE, now + MINUTE)
