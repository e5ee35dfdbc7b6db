"""Queries of the delivery pages.

Every list is found by an index, however many deliveries there are.
"""

import json
from http import HTTPStatus
from typing import Any, cast

import msgspec
from peewee import SQL, ModelSelect, Select, fn

from delivery import outbox
from delivery.kinds import kinds
from delivery.outcome import REASONS, Actor, Reason, StageResult, Verdict, status_hint
from models import (
    MAX_ID,
    Alert,
    Attempt,
    Channel,
    ChannelState,
    Delivery,
    DeliveryState,
    GroupMessage,
    Notification,
    db,
)
from web.filters import until

PAGE_SIZE = 50
MAX_COUNT = 1000
MAX_ATTEMPTS = 100
MAX_OF_ALERT = 100
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
_IDS = """
    SELECT id FROM delivery WHERE id < :before
        AND channel_id NOT IN (SELECT id FROM channel WHERE deleted_at IS NOT NULL)
    ORDER BY id DESC LIMIT :limit"""
# For each channel and state, the newest ids are the end of a range of an index.
_IDS_IN_STATES = """
    SELECT d.id FROM channel c CROSS JOIN json_each(:states) s
    CROSS JOIN /*sqlite*/ delivery d ON d.id IN /*end*/ /*postgresql LATERAL */ (
        SELECT id FROM delivery WHERE channel_id = c.id AND state = s.value AND id < :before
        ORDER BY id DESC LIMIT :limit) /*postgresql d */
    WHERE c.deleted_at IS NULL AND :channel IN (0, c.id) ORDER BY d.id DESC LIMIT :limit"""
_IDS_OF_ALERT = """
    SELECT d.id FROM channel c CROSS JOIN json_each(:states) s
    CROSS JOIN /*sqlite*/ delivery d ON d.id IN /*end*/ /*postgresql LATERAL */ (
        SELECT id FROM delivery WHERE alert_id = :alert AND channel_id = c.id AND state = s.value
            AND id < :before
        ORDER BY id DESC LIMIT :limit) /*postgresql d */
    WHERE c.deleted_at IS NULL AND :channel IN (0, c.id) ORDER BY d.id DESC LIMIT :limit"""
# A body may be encrypted, and large.
DELIVERY_COLUMNS = [field for field in Delivery._meta.sorted_fields if field is not Delivery.body]


def page_of_deliveries(
    states: tuple[DeliveryState, ...], channel: int, alert: int, before: int
) -> list[Delivery]:
    """Return a page of deliveries, newest first; 0 or () selects every delivery.

    One delivery beyond `PAGE_SIZE` shows that there is another page.
    """
    parameters = {
        "states": json.dumps(states or list(DeliveryState)),
        "channel": channel,
        "alert": alert,
        "before": before or MAX_ID,
        "limit": PAGE_SIZE + 1,
    }
    rows = db.execute_sql(choose_statement(states, channel, alert), parameters)
    page = _select(Alert.id, Alert.name, Alert.body, Channel.id, Channel.name)
    page = page.where(Delivery.id << [delivery_id for (delivery_id,) in rows])
    return list(page.order_by(Delivery.id.desc()))


def choose_statement(states: tuple[DeliveryState, ...], channel: int, alert: int) -> str:
    """Return the statement that selects the ids of a page with these filters."""
    if alert:
        return _IDS_OF_ALERT
    return _IDS_IN_STATES if states or channel else _IDS


def find_delivery(number: int) -> Delivery | None:
    """Return a delivery with its alert and the name and state of its channel, or None."""
    rows = _select(Alert, Channel.id, Channel.name, Channel.kind, Channel.state)
    return rows.where(Delivery.id == number, Channel.deleted_at.is_null()).first()


def _select(*columns: Any) -> "ModelSelect[Delivery]":
    """Return a query of deliveries with these columns and the last attempt's message."""
    attempts = Attempt.select(Attempt.says).where(Attempt.delivery == Delivery.id)
    last_message = attempts.order_by(Attempt.id.desc()).limit(1).alias("last_message")
    rows = Delivery.select(*DELIVERY_COLUMNS, last_message, *columns)
    return rows.join_from(Delivery, Alert).join_from(Delivery, Channel)


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
    page = _select(Alert.id, Alert.name, Alert.body, Channel.id, Channel.name)
    page = page.where(Delivery.message == message_id)
    return list(page.order_by(Delivery.urgency, Delivery.id).limit(limit))


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


def latest_alerts(limit: int) -> list[Alert]:
    """Return the latest alerts, newest first, each with `delivery_count` and `has_channel`.

    The count is at most one more than `MAX_OF_ALERT`.
    """
    some = Delivery.select(Delivery.id).where(Delivery.alert == Alert.id).limit(MAX_OF_ALERT + 1)
    count = Select([some], [fn.COUNT(SQL("*"))])
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
