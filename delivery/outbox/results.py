"""Store what became of claimed deliveries: the results of attempts, and released claims."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.alerts.alert import AlertStatus
from delivery.alerts.routing import (
    CHANNEL_NOT_DELIVERING,
    PROBE_INTERVAL,
    SUPERSEDED_BY,
    WAITING_STATES,
)
from delivery.outbox.actions import hold, release
from delivery.outbox.claims import ClaimedDelivery
from delivery.outbox.statements import execute_many, update_deliveries
from delivery.outcome import Outcome, Verdict
from models import Channel, ChannelState, Delivery, DeliveryState, db

# The attempts of a claim that a later worker has taken over change nothing.
_STORE_ATTEMPT = """
    INSERT INTO attempt (channel_id, delivery_id, number, purpose, at, config_hash, verdict, reason,
        actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT :channel_id, :delivery_id, :number, 'delivery', :started_at, :config_hash, :verdict,
        :reason, :actor, :status, :milliseconds, :receiver, :stages, :excerpt, :says
    WHERE EXISTS (SELECT 1 FROM delivery
        WHERE id = :delivery_id AND state = 'sending' AND attempts = :number)"""
_STORE_STATE = """
    UPDATE delivery SET state = :state, due_at = :due_at, cause = :cause, settled_at = :settled_at,
        claims = 0
    WHERE id = :delivery_id AND state = 'sending' AND attempts = :number"""
_RELEASE_CLAIM = """
    UPDATE delivery SET state = 'pending', due_at = :due_at, cause = :cause, attempts = attempts - 1
    WHERE id = :id AND state = 'sending' AND attempts = :attempt"""
_HEAL_CHANNEL = """
    UPDATE channel SET state = 'delivering' WHERE id = :channel_id AND state = 'failing'"""
_PROVE_CHANNEL = """
    UPDATE channel SET proof = 'proven by delivery', proof_hash = config_hash, proven_at = :now
    WHERE id = :channel_id AND config_hash = :config_hash
        AND (proof <> 'proven by delivery' OR proof_hash <> config_hash OR proven_at < :stale)"""
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

    @property
    def is_waiting(self) -> bool:
        """Return True if the delivery is sent again."""
        return self.state in WAITING_STATES

    def parameters(self, now: int) -> dict[str, Any]:
        """Return the parameters of the statements that store the result."""
        settled_at = None if self.is_waiting else now
        return {**vars(self), **self.outcome.columns(), "settled_at": settled_at}


def settle(results: Sequence[AttemptResult], now: int) -> None:
    """Store the results of attempts, and their effect on the channels."""
    rows = [result.parameters(now) for result in results]
    with db.atomic():
        execute_many(_STORE_ATTEMPT, rows)
        execute_many(_STORE_STATE, rows)
        for result in results:
            _update_channel(result, now)
        _catch_up((result.delivery_id for result in results if result.is_waiting), now)


def release_claim(claimed: Sequence[ClaimedDelivery], due_at: int, cause: str) -> None:
    """Give deliveries back that were not sent; the claim counts as no attempt."""
    columns = {"due_at": due_at, "cause": cause}
    rows = [{**delivery._asdict(), **columns} for delivery in claimed]
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
    next_probe = now + PROBE_INTERVAL
    if result.state == DeliveryState.HELD:
        update_deliveries(
            [DeliveryState.HELD],
            Delivery.channel == result.channel_id,
            Delivery.due_at < next_probe,
            due_at=next_probe,
        )
    elif result.outcome.good:
        stale = {"now": now, "stale": now - PROBE_INTERVAL}
        parameters = {**vars(result), **stale}
        if db.execute_sql(_HEAL_CHANNEL, parameters).rowcount:
            release(result.channel_id, now)
        db.execute_sql(_PROVE_CHANNEL, parameters)
    elif result.outcome.verdict == Verdict.GONE and _fail_channel(result):
        hold(result.channel_id, next_probe)


def _fail_channel(result: AttemptResult) -> int:
    """Make a channel failing whose configuration is still the one of the attempt."""
    same = (Channel.id == result.channel_id) & (Channel.config_hash == result.config_hash)
    delivering = Channel.state == ChannelState.DELIVERING
    return Channel.update(state=ChannelState.FAILING).where(same, delivering).execute()
