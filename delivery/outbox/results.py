"""Store what became of claimed deliveries: the results of attempts, and released claims."""

from collections import Counter
from collections.abc import Sequence

from clock import MINUTE
from delivery.alerts.plans import WAITING_STATES
from delivery.outbox.actions import hold, release
from delivery.outbox.activity import count_activity
from delivery.outbox.attempt_result import AttemptResult, DrillResult
from delivery.outbox.catch_up import catch_up, withdraw_closings
from delivery.outbox.claimed import ClaimedMessage
from delivery.outbox.group_messages import release_group_messages
from delivery.outbox.statements import execute, execute_many
from delivery.outcome import Verdict
from models import DeliveryState, db

PROBE_INTERVAL = 10 * MINUTE
PROOF_INTERVAL = 10 * MINUTE
ATTEMPT_INTERVAL = 10 * MINUTE

# The attempts of a claim that a later worker has taken over change nothing.
_STORE_ATTEMPT = """
    INSERT INTO attempt (channel_id, delivery_id, message_id, number, purpose, at, config_hash,
        version, verdict, reason, actor, status, milliseconds, receiver, stages, excerpt, says)
    SELECT :channel_id, iif(CAST(:message_id AS BIGINT) IS NULL, :delivery_id, NULL),
        (SELECT id FROM group_message WHERE id = :message_id), :message_attempt, 'delivery',
        :started_at, :config_hash, :version, :verdict, :reason, :actor, :status, :milliseconds,
        :receiver, :stages, :excerpt, :says
    WHERE EXISTS (SELECT 1 FROM delivery
        WHERE id = :delivery_id AND state = 'sending' AND attempts = :number)"""
_STORE_STATE = """
    UPDATE delivery SET state = :state, due_at = :due_at, cause = :cause, claims = 0,
        retries = :retries, not_found = :not_found, group_key = coalesce(:group_key, group_key),
        config_hash = iif(body IS NULL, :config_hash, config_hash),
        settled_at = iif(:state IN ('pending', 'held'), NULL, :now)
    WHERE id = :delivery_id AND state = 'sending' AND attempts = :number"""
_RELEASE_CLAIM = """
    UPDATE delivery SET state = 'pending', due_at = :due_at, attempts = attempts - 1,
        cause = 'It could not be sent right away.'
    WHERE id = :id AND state = 'sending' AND attempts = :attempt"""
# A channel is notified of an alert when an opening arrived, or may have, until a closing arrives.
_NOTE_OPENING = """
    UPDATE notification
    SET notified_id = iif(:good OR notified_id IS NULL, :delivery_id, notified_id)
    WHERE (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery
        WHERE id = :delivery_id AND state = 'sending' AND attempts = :number)"""
_NOTE_CLOSING = """
    UPDATE notification SET notified_id = NULL
    WHERE (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery
        WHERE id = :delivery_id AND state = 'sending' AND attempts = :number)"""
# Only if the configuration is still the one of the attempt.
_FAIL_CHANNEL = """
    UPDATE channel SET state = 'failing', probe_at = :now + :probe_interval
    WHERE id = :channel_id AND config_hash = :config_hash AND state = 'delivering'"""
_HEAL_CHANNEL = """
    UPDATE channel SET state = 'delivering' WHERE id = :channel_id AND state = 'failing'"""
_PROVE_CHANNEL = """
    UPDATE channel SET proof = 'proven by delivery', proof_hash = config_hash, proven_at = :now
    WHERE id = :channel_id AND config_hash = :config_hash
        AND (proof <> 'proven by delivery' OR proof_hash <> config_hash
            OR proven_at < :now - :interval)"""
# Every delivery runs one of these. A success writes only what changes.
_NOTE_SUCCESS = """
    UPDATE channel SET trouble_since = NULL, trouble = '', failures = 0, attempted_at = :now
    WHERE id = :channel_id AND config_hash = :config_hash
        AND (trouble_since IS NOT NULL OR attempted_at IS NULL
            OR attempted_at NOT BETWEEN :now - :interval AND :now)"""
_NOTE_FAILURE = """
    UPDATE channel SET trouble_since = coalesce(trouble_since, :started_at), trouble = :says,
        trouble_version = iif(trouble_since IS NULL, :version, trouble_version),
        failures = failures + :failed, attempted_at = :now
    WHERE id = :channel_id AND config_hash = :config_hash"""


def settle(results: Sequence[AttemptResult], now: int) -> None:
    """Store the results of attempts, and their effect on notifications and channels."""
    rows = _rows_of(results, now)
    waiting = [result.delivery_id for result in results if result.state in WAITING_STATES]
    unnotified = [result.delivery_id for result in results if not result.notifies]
    with db.atomic():
        execute_many(_STORE_ATTEMPT, {row["exchange"]: row for row in rows}.values())
        execute_many(_NOTE_OPENING, (row for row in rows if row["notifies"]))
        execute_many(_NOTE_CLOSING, (row for row in rows if row["ends"]))
        execute_many(_STORE_STATE, rows)
        _update_channels(results, now)
        count_activity(results, now)
        catch_up(waiting, now)
        withdraw_closings(unnotified, now)


def _rows_of(results: Sequence[AttemptResult], now: int) -> list[dict]:
    """Return the parameters of the statements for each result; an outcome is read once."""
    outcomes: dict[int, dict] = {}
    rows = []
    for result in results:
        if result.exchange not in outcomes:
            outcomes[result.exchange] = result.outcome.columns()
        row = {**vars(result), **outcomes[result.exchange], "exchange": result.exchange}
        row.update(now=now, good=result.outcome.good, notifies=result.notifies, ends=result.ends)
        rows.append(row)
    return rows


def _update_channels(results: Sequence[AttemptResult], now: int) -> None:
    """Note the effect of the exchanges on their channels."""
    failures = Counter(one.exchange for one in results if one.state == DeliveryState.FAILED)
    for result in _last_of_successes(results):
        _update_channel(result, now)
        _note_health(result, failures[result.exchange], now)


def _last_of_successes(results: Sequence[AttemptResult]) -> list[AttemptResult]:
    """Return a result for each exchange; of a channel's successes in a row, only the last."""
    kept: list[AttemptResult] = []
    places: dict[int, int] = {}  # of the latest result of each channel
    for result in {result.exchange: result for result in results}.values():
        place = places.get(result.channel_id)
        if place is not None and _repeats(kept[place], result):
            kept[place] = result
        else:
            places[result.channel_id] = len(kept)
            kept.append(result)
    return kept


def _repeats(earlier: AttemptResult, result: AttemptResult) -> bool:
    is_good = earlier.outcome.good and result.outcome.good
    return is_good and earlier.config_hash == result.config_hash


def release_claim(messages: Sequence[ClaimedMessage], due_at: int) -> None:
    """Give messages back that were not sent; the claim counts as no attempt."""
    deliveries = [delivery for message in messages for delivery in message.deliveries]
    ids = [delivery.id for delivery in deliveries]
    with db.atomic():
        execute_many(
            _RELEASE_CLAIM, ({**delivery._asdict(), "due_at": due_at} for delivery in deliveries)
        )
        release_group_messages(messages)
        catch_up(ids, due_at)
        withdraw_closings(ids, due_at)


def _update_channel(result: AttemptResult, now: int) -> None:
    """Make a channel failing, heal it or prove it, as the outcome says."""
    outcome = result.outcome
    parameters = {**vars(result), "now": now}
    if outcome.verdict == Verdict.GONE:
        _fail_channel(result.channel_id, parameters)
        return
    heals = outcome.good or (result.is_probe and outcome.answered)
    if heals and execute(_HEAL_CHANNEL, **parameters).rowcount:
        release(result.channel_id, now)
    if outcome.good:
        execute(_PROVE_CHANNEL, **parameters, interval=PROOF_INTERVAL)


def note_failed_drill(result: DrillResult, now: int) -> None:
    """Note on the channel that a fire drill did not get through."""
    parameters = {**vars(result), "now": now, "failed": 0, "says": result.outcome.says}
    if result.outcome.verdict == Verdict.GONE:
        _fail_channel(result.channel_id, parameters)
    execute(_NOTE_FAILURE, **parameters)


def _fail_channel(channel_id: int, parameters: dict) -> None:
    if execute(_FAIL_CHANNEL, **parameters, probe_interval=PROBE_INTERVAL).rowcount:
        hold(channel_id)


def _note_health(result: AttemptResult, failed: int, now: int) -> None:
    """Note on the channel whether the attempt got through, and how many deliveries failed."""
    parameters = {**vars(result), "now": now}
    if result.outcome.good:
        execute(_NOTE_SUCCESS, **parameters, interval=ATTEMPT_INTERVAL)
    else:
        execute(_NOTE_FAILURE, **parameters, failed=failed, says=result.outcome.says)
