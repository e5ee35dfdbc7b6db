"""Decide which channels an alert is delivered to. Pure: no clock and no database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from clock import DAY, MINUTE
from delivery import retry
from delivery.alerts.alert import AlertStatus
from delivery.alerts.causes import (
    CHANGED_MEANWHILE,
    CHANNEL_NOT_DELIVERING,
    CLOSED_MEANWHILE,
    CLOSED_UNSENT,
    OPENED_AGAIN,
    SENT_AGAIN,
)
from delivery.alerts.matchers import Matcher, labels_of, matches
from delivery.alerts.received import AlertChange, alert_from_json
from models import Channel, ChannelState, Delivery, DeliveryState

DELIVERY_LIFETIME = DAY
WAITING_STATES = (DeliveryState.PENDING, DeliveryState.HELD)
ACTIVE_STATES = (*WAITING_STATES, DeliveryState.SENDING)
NOT_ARRIVED_STATES = (DeliveryState.FAILED, DeliveryState.GIVEN_UP, DeliveryState.PARKED)
# A change of these labels notifies again, as a change of those in the channel's matchers does.
SEVERITY_LABELS = frozenset({"severity", "priority"})


class ChannelRoute(NamedTuple):
    """What of a channel decides: its matchers, its repeat interval (0: never), its schedule."""

    matchers: tuple[Matcher, ...]
    repeat_minutes: int
    channel_id: int
    state: str
    config_hash: str
    retries: str


class ActiveSilence(NamedTuple):
    """A silence: its matchers, its end, and the cause that its dropped deliveries state."""

    matchers: tuple[Matcher, ...]
    id: int
    until: int
    cause: str


@dataclass(kw_only=True)
class LastDelivery:
    """The last delivery of an alert to a channel, and whether the channel was notified.

    `snapshot` is what the message states, once it is built. `is_notified` says that an opening
    arrived, or may have, and no closing since; `is_under_way` that an opening is being sent.
    `is_silenced` says that a silence stopped what was due after it. `failures` counts the openings
    in a row before this one that did not arrive.
    """

    event: str
    state: str
    created_at: int
    settled_at: int | None = None
    config_hash: str = ""
    snapshot: str | None = None
    is_notified: bool = False
    is_under_way: bool = False
    is_silenced: bool = False
    failures: int = 0

    @property
    def is_opening(self) -> bool:
        """Return True for the delivery of an opening."""
        return self.event == AlertStatus.OPEN


@dataclass(kw_only=True)
class NewDelivery(LastDelivery):
    """The columns of a new delivery."""

    id: int
    channel_id: int
    alert_id: int
    repeated: int = 0
    due_at: int
    expires_at: int
    cause: str = ""


@dataclass(kw_only=True)
class ChannelPlan:
    """What follows for one channel.

    `supersede` is the cause for older deliveries that wait; they stay if it is empty. At
    `review_at`, the alert is planned again for the channel.
    """

    channel_id: int
    delivery: NewDelivery | None = None
    supersede: str = ""
    review_at: int | None = None
    silence_id: int | None = None


@dataclass
class RoutingContext:
    """What decides about the alerts of one transaction.

    `last_deliveries` is keyed by alert id and channel id. `delivery_ids` are the next free ones.
    """

    now: int
    routes: list[ChannelRoute]
    silences: list[ActiveSilence]
    last_deliveries: dict[tuple[int, int], LastDelivery]
    delivery_ids: Iterator[int]


def plan_deliveries(change: AlertChange, context: RoutingContext) -> list[ChannelPlan]:
    """Return what follows from a change of an alert, for every channel that it concerns."""
    plans = []
    plan_for = _plan_opening if change.is_open else _plan_closing
    for route in context.routes:
        last = context.last_deliveries.get((change.id, route.channel_id))
        plan = plan_for(change, route, last, context)
        if plan:
            plans.append(plan)
    return plans


def _plan_closing(
    change: AlertChange, route: ChannelRoute, last: LastDelivery | None, context: RoutingContext
) -> ChannelPlan | None:
    """Plan a closing for a channel that was notified of the opening.

    For an opening under way it is planned too: it waits for the result, and is withdrawn if the
    opening does not arrive. One that did not arrive is due again when its source sends it again.
    """
    if last is None or (last.state in ACTIVE_STATES and not last.is_opening):
        return None
    plan = ChannelPlan(channel_id=route.channel_id)
    if not change.was_open:
        if not last.is_notified or last.is_opening or last.state not in NOT_ARRIVED_STATES:
            return None
        due_at = next_step(route, last, last.failures, context.now)
        plan.delivery = _new_delivery(change, route, last, context, due_at)
    elif last.is_notified or last.is_under_way:
        plan.delivery = _new_delivery(change, route, last, context)
        plan.supersede = CLOSED_MEANWHILE
    elif last.state in WAITING_STATES:
        plan.supersede = CLOSED_UNSENT
    return plan


def _plan_opening(
    change: AlertChange, route: ChannelRoute, last: LastDelivery | None, context: RoutingContext
) -> ChannelPlan | None:
    due_at = None
    is_matched = route.channel_id in change.matched
    if is_matched:
        due_at = _opening_due_at(change, route, last, context.now)
    plan = ChannelPlan(channel_id=route.channel_id)
    if due_at is None:
        if change.received:
            return None
        if is_matched:
            plan.review_at = _next_repeat(route, last, context.now)
        return plan
    silence = find_silence(change.labels, context.silences)
    if silence:
        return _plan_silenced(change, route, last, context, silence)
    plan.delivery = _new_delivery(change, route, last, context, due_at)
    if route.repeat_minutes:
        plan.review_at = due_at + route.repeat_minutes * MINUTE
    if last:
        plan.supersede = CHANGED_MEANWHILE if last.is_opening else OPENED_AGAIN
    return plan


def _plan_silenced(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    silence: ActiveSilence,
) -> ChannelPlan:
    """Plan an opening that a silence stops: it is due when the silence ends."""
    plan = ChannelPlan(channel_id=route.channel_id, review_at=silence.until, silence_id=silence.id)
    if last and not last.is_opening:
        plan.supersede = OPENED_AGAIN  # a closing that waits would be wrong now
    if last is None or not change.was_open:
        plan.delivery = _new_delivery(change, route, last, context)
        plan.delivery.state = DeliveryState.DROPPED
        plan.delivery.cause = silence.cause
    return plan


def find_silence(labels: dict[str, str], silences: list[ActiveSilence]) -> ActiveSilence | None:
    """Return a silence that matches the labels of an alert."""
    for silence in silences:
        if matches(silence.matchers, labels):
            return silence
    return None


def _opening_due_at(
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
    names = SEVERITY_LABELS | {matcher.name for matcher in route.matchers}
    labels = labels_of(alert_from_json(last.snapshot))
    return any(labels.get(name, "") != change.labels.get(name, "") for name in names)


def _next_repeat(route: ChannelRoute, last: LastDelivery | None, now: int) -> int | None:
    """Return when an opening that is not due now may be due by the repeat interval."""
    if last is None or not last.is_opening or not route.repeat_minutes:
        return None
    return max(last.created_at + route.repeat_minutes * MINUTE, now + MINUTE)


def _new_delivery(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    due_at: int = 0,
) -> NewDelivery:
    due_at = max(due_at, context.now)
    delivery = NewDelivery(
        event=change.alert.status,
        state=DeliveryState.PENDING,
        created_at=context.now,
        id=next(context.delivery_ids),
        channel_id=route.channel_id,
        alert_id=change.id,
        due_at=due_at,
        expires_at=due_at + DELIVERY_LIFETIME,
    )
    if route.state != ChannelState.DELIVERING:
        delivery.state = DeliveryState.HELD
        delivery.cause = CHANNEL_NOT_DELIVERING
    elif due_at > context.now:
        delivery.cause = SENT_AGAIN
    if last:
        delivery.is_notified = last.is_notified
        delivery.is_under_way = last.is_under_way
        delivery.repeated = int(change.was_open and change.is_open and last.is_notified)
        is_same_event = last.event == delivery.event and change.was_open == change.is_open
        if is_same_event and last.state in NOT_ARRIVED_STATES:
            delivery.failures = last.failures + 1
    return delivery
