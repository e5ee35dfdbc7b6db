"""Fire drills: which channel is sent one next, and what became of it.

A drill is claimed before it is sent, by the time of the next one: it is sent once, in any number of
processes. If the process ends before the result is stored, it is sent again after an hour.
"""

from collections.abc import Callable
from typing import NamedTuple

from clock import DAY, HOUR, MINUTE
from delivery.outbox.attempt_result import DrillResult
from delivery.outbox.results import note_failed_drill
from delivery.outbox.statements import execute, execute_many
from models import Attempt, db

LEASE = HOUR
RETRY_AFTER = (MINUTE, 5 * MINUTE)  # after the first failures in a row
MAX_RETRY_AFTER = DAY
MAX_JITTER = 10 * MINUTE

# A time far ahead was planned by a clock that was wrong.
_UNPLANNED = """
    SELECT id, drill_days FROM channel
    WHERE drill_days > 0 AND deleted_at IS NULL
        AND (drill_at IS NULL OR drill_at > :now + 2 * :day * drill_days)"""
_PLAN = "UPDATE channel SET drill_at = :drill_at WHERE id = :id"
_NEXT = """
    SELECT id, drill_at FROM channel
    WHERE drill_days > 0 AND drill_at <= :now AND state = 'delivering' AND deleted_at IS NULL
    ORDER BY drill_at LIMIT 1"""
_CLAIM = "UPDATE channel SET drill_at = :leased WHERE id = :id AND drill_at = :planned_at"
_DAYS_AND_FAILURES = """
    SELECT drill_days, drill_failures FROM channel
    WHERE id = :channel_id AND config_hash = :config_hash AND deleted_at IS NULL"""
_SETTLE = """
    UPDATE channel SET drill_at = :drill_at, drill_failures = :failures
    WHERE id = :channel_id AND drill_days > 0"""


class Drill(NamedTuple):
    """A drill that is to be sent now, and the time for which it was planned."""

    channel_id: int
    planned_at: int


def plan_drills(now: int, rng: Callable[[], float]) -> None:
    """Plan the first drill of each channel that has none yet, an interval from now."""
    rows = execute(_UNPLANNED, now=now, day=DAY).fetchall()
    plans = []
    for channel_id, days in rows:
        plans.append({"id": channel_id, "drill_at": next_drill(now, days, now, rng())})
    if plans:
        execute_many(_PLAN, plans)


def next_drill(planned_at: int, days: int, now: int, random: float) -> int:
    """Return the time of the next drill: at the same time of the day, give or take 10 minutes.

    Intervals that have passed are left out. `random` is at least 0 and less than 1.
    """
    interval = days * DAY
    passed = max(0, now - planned_at) // interval
    jitter = int((2 * random - 1) * MAX_JITTER)
    return planned_at + (passed + 1) * interval + jitter


def claim_drill(now: int) -> Drill | None:
    """Return the drill that has been due for longest, and claim it; None if none is due.

    Paused and failing channels have none.
    """
    with db.atomic():
        row = execute(_NEXT, now=now).fetchone()
        if row is None:
            return None
        drill = Drill(*row)
        execute(_CLAIM, id=drill.channel_id, planned_at=drill.planned_at, leased=now + LEASE)
        return drill


def settle_drill(result: DrillResult, now: int, random: float) -> None:
    """Store the attempt of a drill and its effect on the channel, and plan the next one.

    After a failure that is soon, and then a day later. Without effect if the channel was edited.
    """
    with db.atomic():
        row = execute(
            _DAYS_AND_FAILURES, channel_id=result.channel_id, config_hash=result.config_hash
        ).fetchone()
        if row is None:
            return
        days, failures = row
        Attempt.store_drill(_columns(result))
        if result.outcome.good:
            failures = 0
        else:
            failures += 1
            note_failed_drill(result, now)
        if not days:  # the drills have been switched off since it was sent
            return
        drill_at = next_drill(result.planned_at, days, now, random)
        if failures:
            drill_at = min(drill_at, now + _retry_after(failures))
        execute(_SETTLE, channel_id=result.channel_id, drill_at=drill_at, failures=failures)


def _retry_after(failures: int) -> int:
    if failures <= len(RETRY_AFTER):
        return RETRY_AFTER[failures - 1]
    return MAX_RETRY_AFTER


def _columns(result: DrillResult) -> dict:
    return {
        "channel_id": result.channel_id,
        "at": result.started_at,
        "config_hash": result.config_hash,
        "version": result.version,
        **result.outcome.columns(),
    }
