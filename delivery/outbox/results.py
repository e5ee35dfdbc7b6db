"""Store what became of claimed deliveries: the results of attempts, and released claims."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from delivery.alerts.alert import AlertStatus
from delivery.alerts.routing import (
    CHANNEL_NOT_DELIVERING,
    PROBE_INTERVAL,
    SUPERSEDED_BY,
    WAITING_STATES,
)
from delivery.outbox.actions import hold, release
from delivery.outbox.claims import ClaimedDelivery
from delivery.outbox.statements import execute, execute_many
from delivery.outcome import Outcome, Verdict
from models import DeliveryState, db

# The attempts of a claim that a later worker has taken over change nothing.
_STORE_ATTEMPT = """
    INSERT INTO attempt (channel_id, delivery_id, number, purpose, at, config_hash, verdict, reason,
        actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT :channel_id, :delivery_id, :number, 'delivery', :started_at, :config_hash, :verdict,
        :reason, :actor, :status, :milliseconds, :receiver, :stages, :excerpt, :says
    WHERE EXISTS (SELECT 1 FROM delivery
        WHERE id = :delivery_id AND state = 'sending' AND attempts = :number)"""
_STORE_STATE = """
    UPDATE delivery SET state = :state, due_at = :due_at, cause = :cause, claims = 0,
        settled_at = iif(:state IN ('pending', 'held'), NULL, :now)
    WHERE id = :delivery_id AND state = 'sending' AND attempts = :number"""
_RELEASE_CLAIM = """
    UPDATE delivery SET state = 'pending', due_at = :due_at, attempts = attempts - 1,
        cause = 'It could not be sent right away.'
    WHERE id = :id AND state = 'sending' AND attempts = :attempt"""
_POSTPONE_PROBE = """
    UPDATE delivery SET due_at = :now + :interval
    WHERE channel_id = :channel_id AND state = 'held' AND due_at < :now + :interval"""
# Only if the configuration is still the one of the attempt.
_FAIL_CHANNEL = """
    UPDATE channel SET state = 'failing'
    WHERE id = :channel_id AND config_hash = :config_hash AND state = 'delivering'"""
_HEAL_CHANNEL = """
    UPDATE channel SET state = 'delivering' WHERE id = :channel_id AND state = 'failing'"""
_PROVE_CHANNEL = """
    UPDATE channel SET proof = 'proven by delivery', proof_hash = config_hash, proven_at = :now
    WHERE id = :channel_id AND config_hash = :config_hash
        AND (proof <> 'proven by delivery' OR proof_hash <> config_hash
            OR proven_at < :now - :interval)"""
_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :closed, settled_at = :now
    WHERE id = :id AND state IN ('pending', 'held') AND EXISTS (
        SELECT 1 FROM delivery n WHERE n.alert_id = delivery.alert_id
            AND n.channel_id = delivery.channel_id AND n.id > delivery.id
            AND n.state <> 'dropped')"""
_HOLD = """
    UPDATE delivery SET state = 'held', cause = :held WHERE id = :id AND state = 'pending'
        AND (SELECT state FROM channel WHERE id = channel_id) <> 'delivering'"""
_FREE = """
    UPDATE delivery SET state = 'pending', due_at = :now WHERE id = :id AND state = 'held'
        AND (SELECT state FROM channel WHERE id = channel_id) = 'delivering'"""


@dataclass(frozen=True)
class AttemptResult:
    """The outcome of an attempt, and the next state of its delivery."""

    delivery_id: int
    channel_id: int
    number: int
    config_hash: str
    started_at: int
    outcome: Outcome
    state: DeliveryState
    due_at: int
    cause: str


def settle(results: Sequence[AttemptResult], now: int) -> None:
    """Store the results of attempts, and their effect on the channels."""
    rows = [{**vars(result), **result.outcome.columns(), "now": now} for result in results]
    waiting = [result.delivery_id for result in results if result.state in WAITING_STATES]
    with db.atomic():
        execute_many(_STORE_ATTEMPT, rows)
        execute_many(_STORE_STATE, rows)
        for result in results:
            _update_channel(result, now)
        _catch_up(waiting, now)


def release_claim(claimed: Sequence[ClaimedDelivery], due_at: int) -> None:
    """Give deliveries back that were not sent; the claim counts as no attempt."""
    rows = [{**delivery._asdict(), "due_at": due_at} for delivery in claimed]
    with db.atomic():
        execute_many(_RELEASE_CLAIM, rows)
        _catch_up((delivery.id for delivery in claimed), due_at)


def _catch_up(delivery_ids: Iterable[int], now: int) -> None:
    """Apply what happened to alerts and channels while the deliveries were under way."""
    closed = SUPERSEDED_BY[AlertStatus.CLOSED]
    causes = {"closed": closed, "held": CHANNEL_NOT_DELIVERING, "now": now}
    rows = [{"id": delivery_id, **causes} for delivery_id in delivery_ids]
    for statement in (_SUPERSEDE, _HOLD, _FREE):
        execute_many(statement, rows)


def _update_channel(result: AttemptResult, now: int) -> None:
    """Make a channel failing, heal it or prove it, as the outcome says."""
    parameters = {**vars(result), "now": now, "interval": PROBE_INTERVAL}
    if result.state == DeliveryState.HELD:
        execute(_POSTPONE_PROBE, **parameters)
    elif result.outcome.good:
        if execute(_HEAL_CHANNEL, **parameters).rowcount:
            release(result.channel_id, now)
        execute(_PROVE_CHANNEL, **parameters)
    elif result.outcome.verdict == Verdict.GONE and execute(_FAIL_CHANNEL, **parameters).rowcount:
        hold(result.channel_id, now + PROBE_INTERVAL)
