"""Queries of the delivery pages.

Every list is found by an index, however many deliveries there are.
"""

from typing import Any, cast

import msgspec
from peewee import ModelSelect, fn

from delivery import outbox
from delivery.outcome import REASONS, Actor, Reason, StageResult, Verdict, status_hint
from models import (
    MAX_ID,
    Alert,
    Attempt,
    Channel,
    ChannelState,
    Delivery,
    DeliveryState,
    Notification,
)
from web.filters import until

PAGE_SIZE = 50
MAX_COUNT = 1000
MAX_ATTEMPTS = 100
WAITING = "waiting"
STATE_FILTERS = {
    WAITING: (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD),
    **{state.value: (state,) for state in DeliveryState},
}
PARKED_HINT = (
    "This is a bug in Tocsin: please report it with the worker's log of that time. "
    "Change the channel's message and select Retry now, or cancel the delivery."
)
ENDED_HINT = (
    "Read the receiver's log to find out why it failed. "
    "When the receiver works again, select Retry now."
)
_NO_HINT = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.SUPERSEDED)
# A body may be encrypted, and large.
DELIVERY_COLUMNS = [field for field in Delivery._meta.sorted_fields if field is not Delivery.body]


def page_query(
    states: tuple[DeliveryState, ...], channel: int, alert: int, before: int
) -> "ModelSelect[Delivery]":
    """Return the query of a page of deliveries, newest first; 0 or () selects every delivery.

    One delivery beyond `PAGE_SIZE` shows that there is another page.
    """
    ids = Delivery.select(Delivery.id).where(Delivery.id < (before or MAX_ID))
    in_states = Delivery.state << states
    if alert:
        ids = ids.where(Delivery.alert == alert)
    if channel:
        ids = ids.where(Delivery.channel == channel)
        # Two indexes answer this together; reading a channel's rows would read their bodies.
        in_states = Delivery.id << Delivery.select(Delivery.id).where(in_states)
    if states:
        ids = ids.where(in_states)
    page = ids.order_by(Delivery.id.desc()).limit(PAGE_SIZE + 1)
    rows = _select(Alert.id, Alert.name, Channel.id, Channel.name).where(Delivery.id << page)
    return rows.order_by(Delivery.id.desc())


def find_delivery(number: int) -> Delivery | None:
    """Return a delivery with its alert and the name and state of its channel, or None."""
    rows = _select(Alert, Channel.id, Channel.name, Channel.state)
    return rows.where(Delivery.id == min(number, MAX_ID)).first()


def _select(*columns: Any) -> "ModelSelect[Delivery]":
    """Return a query of deliveries with these columns and the last attempt's message."""
    attempts = Attempt.select(Attempt.says).where(Attempt.delivery == Delivery.id)
    last_message = attempts.order_by(Attempt.id.desc()).limit(1).alias("last_message")
    rows = Delivery.select(*DELIVERY_COLUMNS, last_message, *columns)
    return rows.join_from(Delivery, Alert).join_from(Delivery, Channel)


def latest_attempts(delivery: Delivery) -> list[Attempt]:
    """Return the latest attempts of a delivery, oldest first."""
    attempts = Attempt.select().where(Attempt.delivery == delivery)
    return list(attempts.order_by(Attempt.id.desc()).limit(MAX_ATTEMPTS))[::-1]


def latest_alerts(limit: int) -> list[Alert]:
    """Return the latest alerts, newest first, each with `delivery_count` and `has_channel`."""
    count = Delivery.select(fn.COUNT(Delivery.id)).where(Delivery.alert == Alert.id)
    pairs = Notification.select().where(Notification.alert == Alert.id)
    columns = (count.alias("delivery_count"), fn.EXISTS(pairs).alias("has_channel"))
    return list(Alert.latest(limit).select_extend(*columns))


def count_deliveries(state: str) -> int:
    """Return the number of deliveries in a state, at most one more than `MAX_COUNT`."""
    rows = Delivery.select(Delivery.id).where(Delivery.state << STATE_FILTERS[state])
    return rows.limit(MAX_COUNT + 1).count()


def explain(delivery: Delivery, now: int) -> str:
    """Return when the next attempt is due, the cause of the state, and the last result."""
    text = f"{_next_attempt(delivery, now)} {delivery.cause}"
    last_message = getattr(delivery, "last_message", None) or ""
    if last_message not in delivery.cause:
        text += f" Last attempt: {last_message}"
    return text.strip()


def _next_attempt(delivery: Delivery, now: int) -> str:
    if delivery.state == DeliveryState.SENDING:
        return f"Attempt {delivery.attempts} is in progress."
    if delivery.state != DeliveryState.PENDING:
        return ""
    if delivery.due_at <= now:
        return "The next attempt is due now."
    return f"Next attempt {until(delivery.due_at, now)}."


def parse_stages(text: str) -> list[StageResult]:
    """Return the stages that an attempt stores as JSON; none if the row is damaged."""
    try:
        return msgspec.json.decode(text, type=list[StageResult])
    except (msgspec.MsgspecError, RecursionError):
        return []


def why_not_retried(delivery: Delivery) -> str:
    """Return why `outbox.retry_now` refuses a delivery in a state that it accepts, or nothing."""
    if delivery.state not in outbox.RETRIABLE_STATES:
        return ""
    if delivery.channel.state == ChannelState.PAUSED:
        return "Its channel is paused: resume the channel first."
    if delivery.event != delivery.alert.status:
        return f"The alert is {delivery.alert.status} now, so this message is out of date."
    pair = (Delivery.alert == delivery.alert, Delivery.channel == delivery.channel)
    newer = Delivery.select().where(*pair, Delivery.id > delivery.id)
    if newer.where(Delivery.state != DeliveryState.DROPPED).exists():
        return "The channel has a newer delivery of this alert: retry that one instead."
    return ""


def hint_for(delivery: Delivery, last_attempt: Attempt | None) -> str:
    """Return what to do about a delivery, or an empty string."""
    if delivery.state == DeliveryState.PARKED:
        return PARKED_HINT
    if last_attempt is None or last_attempt.actor == Actor.PROXY or delivery.state in _NO_HINT:
        return ""
    if last_attempt.reason != Reason.HTTP_STATUS or not last_attempt.status:
        reason = REASONS.get(cast(Reason, last_attempt.reason))
        return reason.hint if reason else ""
    # The hint of a status may promise another attempt.
    ended = delivery.state in (DeliveryState.FAILED, DeliveryState.GIVEN_UP)
    if ended and last_attempt.verdict == Verdict.RETRY:
        return ENDED_HINT
    return status_hint(last_attempt.status)
