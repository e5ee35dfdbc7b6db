"""Decide which channels an alert is delivered to. Pure: no clock and no database."""

from clock import MINUTE
from delivery.alerts import flapping
from delivery.alerts.causes import (
    CHANGED_MEANWHILE,
    CHANGED_TOO_OFTEN,
    CHANNEL_DROPS,
    CLOSED_MEANWHILE,
    CLOSED_UNSENT,
    OPENED_AGAIN,
)
from delivery.alerts.due import next_repeat, next_step, opening_due_at
from delivery.alerts.matchers import matches
from delivery.alerts.new_delivery import new_delivery, new_dropped
from delivery.alerts.plans import (
    ACTIVE_STATES,
    NOT_ARRIVED_STATES,
    WAITING_STATES,
    ActiveSilence,
    ChannelPlan,
    ChannelRoute,
    LastDelivery,
    NewDelivery,
    RoutingContext,
)
from delivery.alerts.received import AlertChange
from models import ChannelState, DeliveryState


def plan_deliveries(change: AlertChange, context: RoutingContext) -> list[ChannelPlan]:
    """Return what follows from a change of an alert, for every channel that it concerns."""
    plans = []
    for route in context.routes:
        last = context.last_deliveries.get((change.id, route.channel_id))
        if last is None and change.received and route.channel_id not in change.matched:
            continue
        plan: ChannelPlan | None
        if last and last.is_flapping:
            plan = _plan_flapping(change, route, last, context)
        else:
            plan = _plan(change, route, last, context)
        if plan:
            plans.append(plan)
    return plans


def _plan(
    change: AlertChange, route: ChannelRoute, last: LastDelivery | None, context: RoutingContext
) -> ChannelPlan | None:
    """Plan what follows for a channel, and note the change of the alert."""
    plan = None
    if change.is_open:
        plan = _plan_opening(change, route, last, context)
    elif change.received:
        plan = _plan_closing(change, route, last, context)
    if plan is None and last is None:
        return None
    changes = _changes_after(change, route, last, context)
    if changes is None:
        return plan
    plan = plan or ChannelPlan(channel_id=route.channel_id, keeps_review=True)
    plan.changes = changes
    delivery = plan.delivery
    is_sent = delivery and delivery.is_opening and delivery.state != DeliveryState.DROPPED
    if delivery and is_sent and flapping.is_too_often(changes):
        plan.supersede = CHANGED_TOO_OFTEN
        plan.review_at = flapping.calm_at(changes)
        _report_flapping(plan, delivery)
    return plan


def _changes_after(
    change: AlertChange, route: ChannelRoute, last: LastDelivery | None, context: RoutingContext
) -> tuple[int, ...] | None:
    earlier = last.changes if last else ()
    return flapping.changes_after(earlier, change, route, context.now)


def _report_flapping(plan: ChannelPlan, delivery: NewDelivery) -> None:
    """Let a delivery report that the alert is flapping."""
    plan.delivery = delivery
    plan.is_flapping = delivery.is_flapping = True
    delivery.flapping = 1


def _plan_flapping(
    change: AlertChange, route: ChannelRoute, last: LastDelivery, context: RoutingContext
) -> ChannelPlan:
    """Plan nothing until the alert is calm, except a report that did not arrive."""
    changes = _changes_after(change, route, last, context)
    if context.now >= flapping.calm_at(last.changes):
        return _plan_calm(change, route, last, context, changes or ())
    changes = changes or last.changes
    plan = ChannelPlan(
        channel_id=route.channel_id,
        review_at=flapping.calm_at(changes),
        changes=changes,
        is_flapping=True,
    )
    is_called_for = change.received and route.channel_id in change.matched
    is_lost = last.is_opening and last.state in NOT_ARRIVED_STATES
    if is_called_for and is_lost and not _is_stopped(change, route):
        due_at = next_step(route, last, last.failures, context.now)
        _report_flapping(plan, new_delivery(change, route, last, context, due_at))
    return plan


def _plan_calm(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery,
    context: RoutingContext,
    changes: tuple[int, ...],
) -> ChannelPlan:
    """Plan the state of an alert that has been calm, whatever was sent before.

    What stops its opening makes it wait: it is reported when that ends.
    """
    plan = ChannelPlan(channel_id=route.channel_id)
    if change.is_open:
        if _is_stopped(change, route):
            return _wait_for_end(change, route, last, context)
        if route.channel_id in change.matched:
            plan = _plan_due_opening(change, route, last, context, context.now)
    elif last.is_notified or last.is_under_way:
        plan.delivery = new_delivery(change, route, last, context)
        plan.supersede = CLOSED_MEANWHILE
    else:
        plan.supersede = CLOSED_UNSENT
    plan.changes = changes
    return plan


def _wait_for_end(
    change: AlertChange, route: ChannelRoute, last: LastDelivery, context: RoutingContext
) -> ChannelPlan:
    """Let a calm alert count as flapping until its opening may be sent."""
    plan = ChannelPlan(channel_id=route.channel_id, changes=last.changes, is_flapping=True)
    plan.review_at = context.now + flapping.WINDOW
    if change.silence:
        plan.review_at = change.silence.until
        plan.silence_id = change.silence.id
    return plan


def _is_stopped(change: AlertChange, route: ChannelRoute) -> bool:
    """Return True if a silence or a paused channel stops the openings of an alert."""
    return _drops(route) or change.silence is not None


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
        plan.delivery = new_delivery(change, route, last, context, due_at)
    elif last.is_notified or last.is_under_way:
        plan.delivery = new_delivery(change, route, last, context)
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
        due_at = opening_due_at(change, route, last, context.now)
    if due_at is not None:
        return _plan_due_opening(change, route, last, context, due_at)
    if change.received:
        return None
    plan = ChannelPlan(channel_id=route.channel_id)
    if is_matched:
        plan.review_at = next_repeat(route, last, context.now)
    return plan


def _plan_due_opening(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    due_at: int,
) -> ChannelPlan:
    if change.silence:
        plan = _plan_stopped(change, route, last, context, change.silence.cause)
        plan.review_at = change.silence.until
        plan.silence_id = change.silence.id
        return plan
    if _drops(route):
        plan = _plan_stopped(change, route, last, context, CHANNEL_DROPS)
        if route.repeat_minutes:
            plan.review_at = context.now + route.repeat_minutes * MINUTE
        return plan
    plan = ChannelPlan(channel_id=route.channel_id)
    plan.delivery = new_delivery(change, route, last, context, due_at)
    if route.repeat_minutes:
        plan.review_at = due_at + route.repeat_minutes * MINUTE
    if last:
        plan.supersede = CHANGED_MEANWHILE if last.is_opening else OPENED_AGAIN
    return plan


def _plan_stopped(
    change: AlertChange,
    route: ChannelRoute,
    last: LastDelivery | None,
    context: RoutingContext,
    cause: str,
) -> ChannelPlan:
    """Plan an opening that a silence or a paused channel stops: it is stored, and not sent."""
    plan = ChannelPlan(channel_id=route.channel_id)
    if last and not last.is_opening:
        plan.supersede = OPENED_AGAIN  # a closing that waits would be wrong now
    if last is None or not change.was_open:
        plan.delivery = new_dropped(change, route, last, context, cause)
    return plan


def _drops(route: ChannelRoute) -> bool:
    """Return True if openings are dropped and not held until the channel is resumed."""
    return route.drops and route.state == ChannelState.PAUSED


def find_silence(labels: dict[str, str], silences: list[ActiveSilence]) -> ActiveSilence | None:
    """Return a silence that matches the labels of an alert."""
    for silence in silences:
        if matches(silence.matchers, labels):
            return silence
    return None
