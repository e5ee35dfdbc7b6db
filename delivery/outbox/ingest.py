"""Store alerts, and the deliveries that they make due: received, closed, or planned again."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from clock import SECOND
from delivery.alerts.alert import AlertStatus
from delivery.alerts.received import IngestResult, ReceivedAlert, alert_from_json
from delivery.outbox.listening import listening_until
from delivery.outbox.statements import execute
from delivery.outbox.write_plan import WritePlan
from models import db

MAX_WAITING = 200_000
MAX_ALERTS_AT_ONCE = 500

_COUNT_WAITING = """
    SELECT count(*) FROM (
        SELECT 1 FROM delivery WHERE state = 'pending' LIMIT :max_waiting) AS part"""
_OVERDUE = "SELECT key, body FROM alert WHERE closes_at <= :until LIMIT :max_count"
_OPEN_ALERT = "SELECT key, body FROM alert WHERE id = :id AND status = 'open'"
_TO_REVIEW = """
    SELECT key FROM alert WHERE id IN (
        SELECT alert_id FROM notification WHERE review_at <= :now ORDER BY review_at
        LIMIT :max_count)"""
_END_REVIEWS = """
    UPDATE notification SET review_at = NULL, silence_id = NULL
    WHERE review_at <= :now AND flapping = 0
        AND (SELECT status FROM alert WHERE id = alert_id) <> 'open'"""


class OutboxFull(Exception):
    """Too many deliveries wait already: no more are stored."""


@dataclass
class WaitingCount:
    """How many deliveries wait, and when they were counted."""

    count: int = 0
    counted_at: int = 0


_counting = Lock()
_waiting_counts: dict[str, WaitingCount] = defaultdict(WaitingCount)  # by database


def store(
    received: Sequence[ReceivedAlert],
    now: int,
    in_transaction: Callable[[list[IngestResult]], None] | None = None,
    urgent: bool = False,
) -> list[IngestResult]:
    """Store alerts and the deliveries that they make due, in the order received.

    `delivery.alerts.routing` has the rules. `in_transaction` is called with the results before the
    commit.

    Raises:
        OutboxFull: too many deliveries wait, and the alerts are not urgent.
    """
    with db.atomic():
        if is_full(now) and not urgent:
            raise OutboxFull
        plan = WritePlan([alert.key for alert in received], now)
        results = [plan.add(alert) for alert in received]
        plan.write()
        _waiting_counts[db.obj.database].count += plan.count
        if in_transaction:
            in_transaction(results)
    return results


def is_full(now: int) -> bool:
    """Return True if so many deliveries wait that no more alerts are stored."""
    with _counting:  # no thread replaces a count by an older one
        waiting = _waiting_counts[db.obj.database]
        if not 0 <= now - waiting.counted_at < SECOND:  # counting many of them takes long
            waiting.count = execute(_COUNT_WAITING, max_waiting=MAX_WAITING).fetchone()[0]
            waiting.counted_at = now
        return waiting.count >= MAX_WAITING


def close_overdue(now: int) -> int:
    """Close open alerts that were not sent again in time, and return how many.

    None is closed for a time at which Tocsin could not hear of it.
    """
    until = min(now, listening_until())
    return close_keys(execute(_OVERDUE, until=until, max_count=MAX_ALERTS_AT_ONCE), now)


def close_alert(alert_id: int, now: int) -> bool:
    """Close an alert that its source will not close; return False if it is not open."""
    return close_keys(execute(_OPEN_ALERT, id=alert_id), now) == 1


def close_keys(rows: Sequence[tuple[str, str]], now: int) -> int:
    """Close alerts, of which these are the keys and the stored JSON; return how many."""
    closings = []
    for key, body in rows:
        alert = replace(alert_from_json(body), status=AlertStatus.CLOSED, ends_at=now)
        closings.append(ReceivedAlert(key, alert, resolves=False))
    if closings:
        store(closings, now, urgent=True)
    return len(closings)


def review(now: int) -> int:
    """Plan alerts again whose repeat or silence is over, or that are calm; return how many."""
    with db.atomic():
        execute(_END_REVIEWS, now=now)  # first: closed alerts must not take up the whole batch
        keys = [key for (key,) in execute(_TO_REVIEW, now=now, max_count=MAX_ALERTS_AT_ONCE)]
        if keys:
            plan = WritePlan(keys, now)
            for key in keys:
                plan.review(key)
            plan.write()
    return len(keys)
