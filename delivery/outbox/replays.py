"""Replays: the worker sends the deliveries again that a filter accepts, in slices.

Each slice is one transaction, which also notes how far the replay has come: a crash, a restart or
a stop loses nothing and sends nothing twice.
"""

import json
from collections import Counter

from delivery.log.log_filter import LogFilter
from delivery.log.search import find
from delivery.outbox.ingest import is_full
from delivery.outbox.maintenance import newest_id
from delivery.outbox.redelivery import Redelivery, ReplayChoice, redeliver
from delivery.outbox.statements import execute
from models import Replay, ReplayState, db

SLICE = 100  # deliveries

_RUNNING = """
    SELECT id, made_by, created_at, choice, log_filter, before, counts FROM replay
    WHERE state = 'running' ORDER BY id LIMIT 1"""
_NOTE_SLICE = """
    UPDATE replay SET before = :before, counts = :counts, state = :state
    WHERE id = :id AND state = 'running'"""
_SET_STATE = "UPDATE replay SET state = :state WHERE id = :id AND state = :earlier"


def start_replay(
    log_filter: LogFilter, query: str, choice: ReplayChoice, by: str, now: int
) -> Replay:
    """Store a replay of the deliveries that a filter accepts, up to the newest one of now."""
    return Replay.create(
        made_by=by,
        created_at=now,
        choice=choice,
        log_filter=log_filter.to_json(),
        query=query,
        before=newest_id() + 1,
    )


def run_replay_slice(now: int) -> bool:
    """Send the next deliveries of the oldest replay again; return False if there is none.

    Nothing is sent while so much waits that alerts are refused.
    """
    with db.atomic():
        row = execute(_RUNNING).fetchone()
        if row is None:
            return False
        replay_id, by, created_at, choice, log_filter, before, counts = row
        if is_full(now):
            return True
        found = find(LogFilter.from_json(log_filter), before, SLICE)
        digest = f"digest-{created_at}" if choice == ReplayChoice.DIGEST else ""
        results = redeliver(found.ids, ReplayChoice(choice), by, now, digest)
        execute(
            _NOTE_SLICE,
            id=replay_id,
            before=found.older or 0,
            counts=_add(counts, results),
            state=ReplayState.DONE if found.older is None else ReplayState.RUNNING,
        )
    return True


def _add(counts: str, results: Counter[Redelivery]) -> str:
    return json.dumps(Counter(json.loads(counts)) + Counter(results))


def stop_replay(replay_id: int) -> bool:
    """Stop a running replay; return False if it does not run."""
    return _change(replay_id, ReplayState.RUNNING, ReplayState.STOPPED)


def continue_replay(replay_id: int) -> bool:
    """Continue a stopped replay; return False if it was not stopped."""
    return _change(replay_id, ReplayState.STOPPED, ReplayState.RUNNING)


def _change(replay_id: int, earlier: ReplayState, state: ReplayState) -> bool:
    return execute(_SET_STATE, id=replay_id, earlier=earlier, state=state).rowcount == 1
