"""Replays: the worker sends the deliveries again that a filter accepts, in slices.

Each slice is one transaction, which also notes how far the replay has come: a crash, a restart or
a stop loses nothing and repeats nothing. Slices come only while little waits, so that new alerts
do not wait behind them.
"""

import json
from collections import Counter

from delivery.log.log_filter import LogFilter
from delivery.log.search import find
from delivery.outbox.ingest import is_full
from delivery.outbox.maintenance import newest_id
from delivery.outbox.redelivery import Redelivery, ReplayChoice, end_digest, redeliver
from delivery.outbox.statements import execute
from models import Replay, ReplayState, db

SLICE = 100  # deliveries
MAX_PENDING = 1000  # deliveries, while the next slice may come

_RUNNING = """
    SELECT id, made_by, created_at, choice, log_filter, before, counts FROM replay
    WHERE state = 'running' ORDER BY id LIMIT 1"""
_NOTE_SLICE = """
    UPDATE replay SET before = :before, counts = :counts, state = :state
    WHERE id = :id AND state = 'running'"""
_COUNT_PENDING = """
    SELECT count(*) FROM (
        SELECT 1 FROM delivery WHERE state = 'pending' LIMIT :max_pending) AS part"""
_SET_STATE = "UPDATE replay SET state = :state WHERE id = :id AND state = :earlier"


def start_replay(
    log_filter: LogFilter, query: str, choice: ReplayChoice, by: str, now: int, before: int = 0
) -> Replay:
    """Store a replay of the deliveries that a filter accepts, with ids below `before`.

    Without that, it is of those up to the newest one of now. `query` is the filter as pages show
    it. A replay of the same that still runs is returned instead.
    """
    with db.atomic():
        columns = {"log_filter": log_filter.to_json(), "choice": choice}
        same = Replay.get_or_none(state=ReplayState.RUNNING, **columns)
        if same:
            return same
        before = before or newest_id() + 1
        return Replay.create(made_by=by, created_at=now, query=query, before=before, **columns)


def run_replay_slice(now: int) -> bool:
    """Send the next deliveries of the oldest replay again; return False if there is none.

    Nothing is sent while too much waits.
    """
    if execute(_RUNNING).fetchone() is None:  # without a transaction that waits for others
        return False
    with db.atomic():
        row = execute(_RUNNING).fetchone()
        if row and not _waits(row[3], now):
            _run_slice(now, *row)
    return True


def _waits(choice: str, now: int) -> bool:
    """Return True if a replay has to wait; a digest waits for its own deliveries."""
    if choice == ReplayChoice.DIGEST:
        return is_full(now)
    return execute(_COUNT_PENDING, max_pending=MAX_PENDING).fetchone()[0] >= MAX_PENDING


def _run_slice(
    now: int,
    replay_id: int,
    by: str,
    created_at: int,
    choice: str,
    filter_json: str,
    before: int,
    counts: str,
) -> None:
    try:
        log_filter = LogFilter.from_json(filter_json)
    except (ValueError, TypeError, KeyError):  # of a version that had other filters
        stop_replay(replay_id, now)
        return
    found = find(log_filter, before, SLICE)
    digest = ""
    if choice == ReplayChoice.DIGEST:
        digest = _digest_of(created_at)
    results = redeliver(found.ids, ReplayChoice(choice), by, now, digest)
    state = ReplayState.RUNNING
    if found.older is None:
        state = ReplayState.DONE
        end_digest(_digest_of(created_at), now)
    execute(
        _NOTE_SLICE,
        id=replay_id,
        before=found.older or 0,
        counts=_add(counts, results),
        state=state,
    )


def _digest_of(created_at: int) -> str:
    return f"digest-{created_at}"


def _add(counts: str, results: Counter[Redelivery]) -> str:
    return json.dumps(Counter(json.loads(counts)) + Counter(results))


def stop_replay(replay_id: int, now: int) -> bool:
    """Stop a running replay, and send the digest so far; return False if it does not run."""
    with db.atomic():
        is_stopped = _change(replay_id, ReplayState.RUNNING, ReplayState.STOPPED)
        if is_stopped:
            end_digest(_digest_of(Replay.get_by_id(replay_id).created_at), now)
    return is_stopped


def continue_replay(replay_id: int) -> bool:
    """Continue a stopped replay; return False if it was not stopped."""
    return _change(replay_id, ReplayState.STOPPED, ReplayState.RUNNING)


def _change(replay_id: int, earlier: ReplayState, state: ReplayState) -> bool:
    return execute(_SET_STATE, id=replay_id, earlier=earlier, state=state).rowcount == 1
