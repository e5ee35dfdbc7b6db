"""Queries of the page of a delivery, or of a group message."""

from http import HTTPStatus
from typing import Any, cast

import msgspec
from peewee import ModelSelect, fn

from delivery import outbox
from delivery.kinds import kinds
from delivery.outcome import REASONS, Actor, Reason, StageResult, Verdict, status_hint
from models import (
    Alert,
    Attempt,
    Channel,
    ChannelState,
    Delivery,
    DeliveryState,
    GroupMessage,
)
from web.deliveries.log import LISTED_COLUMNS, select_deliveries
from web.filters import until

MAX_ATTEMPTS = 100
PARKED_HINT = (
    "This is a bug in Tocsin: please report it with the worker's log of that time. "
    "Change the channel's message and select Retry now, or cancel the delivery."
)
ENDED_HINT = (
    "Read the receiver's log to find out why it failed. "
    "When the receiver works again, select Retry now."
)
_NO_HINT = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.SUPERSEDED)


def find_delivery(number: int) -> Delivery | None:
    """Return a delivery with its alert and the name and state of its channel, or None."""
    rows = select_deliveries(Alert, Channel.id, Channel.name, Channel.kind, Channel.state)
    return rows.where(Delivery.id == number, Channel.deleted_at.is_null()).first()


def latest_attempts(delivery: Delivery) -> list[Attempt]:
    """Return the latest attempts of a delivery, and of its group message, oldest first."""
    alone = _latest(Attempt.select().where(Attempt.delivery == delivery))
    message_id = group_message_of(delivery)
    in_group = attempts_of_group(message_id) if message_id else []
    return [*alone, *in_group][-MAX_ATTEMPTS:]


def group_message_of(delivery: Delivery) -> int | None:
    """Return the id of the last group message that a delivery was sent in, without a query."""
    return delivery.__data__["message"]


def attempts_of_group(message_id: int) -> list[Attempt]:
    """Return the latest attempts of a group message, oldest first."""
    return _latest(Attempt.select().where(Attempt.message == message_id))


def _latest(attempts: "ModelSelect[Attempt]") -> list[Attempt]:
    return list(attempts.order_by(Attempt.id.desc()).limit(MAX_ATTEMPTS))[::-1]


def find_group_message(number: int) -> GroupMessage | None:
    """Return a group message with the name of its channel, or None."""
    columns = [field for field in GroupMessage._meta.sorted_fields if field.name != "body"]
    rows = GroupMessage.select(*columns, Channel.id, Channel.name).join(Channel)
    return rows.where(GroupMessage.id == number, Channel.deleted_at.is_null()).first()


def deliveries_of_group(message_id: int, limit: int) -> list[Delivery]:
    """Return the first deliveries of a group message, the most severe first."""
    page = select_deliveries(*LISTED_COLUMNS)
    page = page.where(Delivery.message == message_id)
    return list(page.order_by(Delivery.urgency, Delivery.id).limit(limit))


def deliveries_of_attempt(attempt: Attempt, limit: int) -> list[Delivery]:
    """Return the first deliveries of the message of an attempt, each with its alert."""
    message_id = attempt.__data__["message"]
    if message_id is not None:
        return deliveries_of_group(message_id, limit)
    return list(
        select_deliveries(*LISTED_COLUMNS).where(Delivery.id == attempt.__data__["delivery"])
    )


def count_states_of_group(message_id: int | None) -> dict[str, int]:
    """Return how many deliveries of a group message are in each state, the most frequent first.

    Without a message there are none: the deliveries that were sent alone are all others.
    """
    if message_id is None:
        return {}
    number = fn.COUNT(Delivery.id)
    rows = Delivery.select(Delivery.state, number).where(Delivery.message == message_id)
    counts: Any = rows.group_by(Delivery.state).order_by(number.desc(), Delivery.state).tuples()
    return dict(counts)


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
    if newer.where(Delivery.state << outbox.NOT_DROPPED).exists():
        return "The channel has a newer delivery of this alert: retry that one instead."
    return ""


def _kind_hint(delivery: Delivery, attempt: Attempt) -> str:
    """Return the hint of the channel's kind on a response, empty without one."""
    kind = kinds().get(delivery.channel.kind)
    if kind is None or not attempt.status or attempt.actor != Actor.RECEIVER:
        return ""
    return kind.hint_for(attempt.status, attempt.says)


def hint_for(delivery: Delivery, last_attempt: Attempt | None) -> str:
    """Return what to do about a delivery, or an empty string."""
    if delivery.state == DeliveryState.PARKED:
        return PARKED_HINT
    if last_attempt is None or last_attempt.actor == Actor.PROXY or delivery.state in _NO_HINT:
        return ""
    return _kind_hint(delivery, last_attempt) or _reason_hint(delivery, last_attempt)


def _reason_hint(delivery: Delivery, attempt: Attempt) -> str:
    if attempt.verdict == Verdict.GONE:
        return status_hint(HTTPStatus.GONE)
    if attempt.reason != Reason.HTTP_STATUS or not attempt.status:
        reason = REASONS.get(cast(Reason, attempt.reason))
        return reason.hint if reason else ""
    # The hint of a status may promise another attempt.
    ended = delivery.state in (DeliveryState.FAILED, DeliveryState.GIVEN_UP)
    if ended and attempt.verdict == Verdict.RETRY:
        return ENDED_HINT
    return status_hint(attempt.status)
