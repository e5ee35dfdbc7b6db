"""Attempts that have ended: the outcome, and the result that the outbox stores."""

from delivery.outbox import AttemptResult, ClaimedDelivery, claim
from delivery.outcome import Actor, Outcome, Reason, Stage, StageResult, Verdict
from models import DeliveryState


def answered(
    verdict=Verdict.DELIVERED, reason=Reason.OK, status: int | None = 200, *, sent=True, **columns
) -> Outcome:
    """Return the outcome of an exchange with a receiver; `sent` says that the request went out."""
    return Outcome(
        verdict,
        reason,
        Actor.RECEIVER,
        "What happened.",
        "",
        "r",
        milliseconds=1.0,
        status=status,
        stages=(StageResult(Stage.SENT, 1.0, ok=sent),),
        **columns,
    )


def claim_deliveries(now: int, **options) -> list[ClaimedDelivery]:
    """Claim what is due, and return the deliveries of all messages."""
    options = {"max_count": 100, "room": {}, **options}
    return [delivery for message in claim(now, **options) for delivery in message.deliveries]


def result_of(delivery, outcome: Outcome, at: int, **columns) -> AttemptResult:
    """Return the result of an attempt at a claimed delivery; it arrived unless `state` differs."""
    values = {
        "config_hash": delivery.config_hash,
        "version": 1,
        "state": DeliveryState.DELIVERED,
        "due_at": at,
        "cause": "",
        "retries": 0,
        "not_found": 0,
        "is_probe": False,
        "waits_since": delivery.created_at,
        **columns,
    }
    return AttemptResult(
        delivery_id=delivery.id,
        channel_id=delivery.channel_id,
        event=delivery.event,
        number=delivery.attempt,
        message_attempt=delivery.attempt,
        started_at=at,
        outcome=outcome,
        **values,
    )
