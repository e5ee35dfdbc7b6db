"""Decide what follows an attempt. Pure: no clock, no database, no random generator."""

from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple

from delivery import retry
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.message import Message
from delivery.outbox import AttemptResult, ClaimedDelivery, ClaimedMessage
from delivery.outcome import Outcome, Verdict
from delivery.queue.channel_cache import CachedChannel
from models import ChannelState, DeliveryState

# A receiver that refuses one alert, or the size of the message.
SPLIT_STATUSES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
MAX_SPLITS = 3  # in a row: at most 15 messages in place of one


class FinishedAttempt(NamedTuple):
    """The outcome of an attempt, or of a message that could not be built (None)."""

    message_id: int
    channel: CachedChannel
    outcome: Outcome
    started_at: int
    message: Message | None = None


def settle_message(
    message: ClaimedMessage, attempt: FinishedAttempt, now: int, random_number: float
) -> list[AttemptResult]:
    """Return the result of every delivery of a message.

    The deliveries of a group that have failed equally often wait equally long, and stay together. A
    group that the receiver refuses is sent again in two halves: one alert, or the size, may be
    the reason, and the other alerts must not be lost with it.
    """
    halves = _halves(message, attempt.outcome)
    results = []
    for number, delivery in enumerate(message.deliveries):
        result = settle_attempt(
            delivery, attempt, now, random_number, message.group_id, message.attempt
        )
        if halves:
            half = halves[2 * number >= len(message.deliveries)]
            cause = f"{result.cause} Its alerts are sent again in two messages."
            result = replace(result, state=DeliveryState.PENDING, cause=cause, group_key=half)
        results.append(result)
    return results


def _halves(message: ClaimedMessage, outcome: Outcome) -> list[str]:
    """Return the group keys of the halves in which a message is sent again; none if it is not."""
    key = message.first.group_key
    is_refused = outcome.verdict == Verdict.FAILED and outcome.status in SPLIT_STATUSES
    if not is_refused or len(message.deliveries) < 2:
        return []
    base, _, path = key.partition("/")
    return [f"{base}/{path}{half}" for half in "01"] if len(path) < MAX_SPLITS else []


def settle_attempt(
    delivery: ClaimedDelivery,
    attempt: FinishedAttempt,
    now: int,
    random_number: float,
    message_id: int | None = None,
    message_attempt: int = 1,
) -> AttemptResult:
    """Return the next state of a delivery, when it is due again, and why.

    A probe takes no step of the schedule. `random_number` (0 to 1) spreads the retries. A group
    message has a `message_id`; `message_attempt` counts the attempts of the message.
    """
    outcome = attempt.outcome
    is_probe = attempt.channel.state == ChannelState.FAILING
    result = AttemptResult(
        delivery_id=delivery.id,
        channel_id=delivery.channel_id,
        event=delivery.event,
        number=delivery.attempt,
        config_hash=attempt.channel.config_hash,
        version=attempt.channel.version,
        started_at=attempt.started_at,
        outcome=outcome,
        state=_final_state(outcome, is_probe),
        due_at=now,
        cause=outcome.says,
        retries=delivery.retries,
        not_found=delivery.not_found,
        is_probe=is_probe,
        message_id=message_id,
        message_attempt=message_attempt,
        waits_since=delivery.expires_at - DELIVERY_LIFETIME,
    )
    if result.state != DeliveryState.FAILED:
        return result
    return _retry_or_fail(result, delivery, attempt.channel.steps, random_number)


def _final_state(outcome: Outcome, is_probe: bool) -> DeliveryState:
    """Return the state of a delivery that is not tried again.

    A delivery that discovers that the hook is gone is held, and so is a probe without a response.
    """
    if outcome.good:
        return DeliveryState(outcome.verdict)  # delivered or accepted
    if outcome.verdict == Verdict.GONE or (is_probe and not outcome.answered):
        return DeliveryState.HELD
    return DeliveryState.FAILED


def _retry_or_fail(
    result: AttemptResult, delivery: ClaimedDelivery, steps: tuple[int, ...], random_number: float
) -> AttemptResult:
    """Return the result of a failed attempt, with the next attempt if there is one."""
    outcome = result.outcome
    if outcome.verdict == Verdict.RETRY:
        wait = retry.wait(delivery.retries + 1, steps, outcome.retry_after, random_number)
        retried = replace(result, retries=delivery.retries + (not result.is_probe))
        return _retry(retried, delivery, wait)
    if outcome.verdict == Verdict.FAILED and outcome.status == HTTPStatus.NOT_FOUND:
        wait = retry.wait_not_found(delivery.not_found, steps, random_number)
        return _retry(replace(result, not_found=delivery.not_found + 1), delivery, wait)
    return result


def _retry(result: AttemptResult, delivery: ClaimedDelivery, wait: float | None) -> AttemptResult:
    """Return the result with the next attempt after `wait` seconds, or why there is none."""
    if wait is None:
        cause = f"{result.cause} That was the last attempt, number {delivery.attempt}."
        return replace(result, cause=cause)
    due_at = result.due_at + int(wait * 1000)
    if due_at >= delivery.expires_at:
        cause = f"{result.cause} It expires before the next attempt would be due."
        return replace(result, cause=cause)
    requested = result.outcome.retry_after
    cause = result.cause
    if requested is not None and result.outcome.verdict == Verdict.RETRY:
        cause += f" The receiver asked for {requested:g} s."
    return replace(result, state=DeliveryState.PENDING, due_at=due_at, cause=cause)
