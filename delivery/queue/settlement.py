"""Decide what follows an attempt. Pure: no clock, no database, no random generator."""

from typing import NamedTuple

from delivery import retry
from delivery.alerts.routing import PROBE_INTERVAL
from delivery.outbox import AttemptResult, ClaimedDelivery
from delivery.outcome import Outcome, Verdict
from delivery.queue.channel_cache import CachedChannel
from models import ChannelState, DeliveryState


class FinishedAttempt(NamedTuple):
    """The outcome of an attempt, or of a message that could not be built."""

    delivery_id: int
    channel: CachedChannel
    outcome: Outcome
    started_at: int


def settle_attempt(
    delivery: ClaimedDelivery, attempt: FinishedAttempt, now: int, random_number: float
) -> AttemptResult:
    """Return the next state of a delivery, when it is due again, and why.

    A delivery that probes a failing channel is held again unless it arrives. `random_number` (0
    to 1) spreads the retries.
    """
    outcome = attempt.outcome
    state = DeliveryState.FAILED
    due_at = now
    cause = outcome.says
    if outcome.good:
        state = DeliveryState(outcome.verdict)  # delivered or accepted
    elif attempt.channel.state == ChannelState.FAILING and now < delivery.expires_at:
        state = DeliveryState.HELD
        due_at = now + PROBE_INTERVAL
    elif outcome.verdict == Verdict.RETRY:
        step = delivery.finished_attempts + 1
        wait = retry.wait(step, attempt.channel.steps, outcome.retry_after, random_number)
        if wait is None:
            cause += f" That was the last attempt, number {delivery.attempt}."
        elif now + int(wait * 1000) >= delivery.expires_at:
            cause += " It expires before the next attempt would be due."
        else:
            state = DeliveryState.PENDING
            due_at = now + int(wait * 1000)
            if outcome.retry_after is not None:
                cause += f" The receiver asked for {outcome.retry_after:g} s."
    return AttemptResult(
        delivery_id=delivery.id,
        channel_id=delivery.channel_id,
        number=delivery.attempt,
        config_hash=attempt.channel.config_hash,
        started_at=attempt.started_at,
        outcome=outcome,
        state=state,
        due_at=due_at,
        cause=cause,
    )
