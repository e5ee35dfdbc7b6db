"""Store received alerts, and the deliveries that they make due."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from clock import SECOND
from delivery.alerts.alert import AlertStatus
from delivery.alerts.matchers import Matcher, MatcherError, labels_of, parse_matchers
from delivery.alerts.routing import (
    SUPERSEDED_BY,
    ActiveSilence,
    AlertChange,
    ChannelRoute,
    IngestResult,
    LastDelivery,
    NewDelivery,
    ReceivedAlert,
    RoutingContext,
    alert_from_json,
    alert_to_json,
    merge_alert,
    plan_deliveries,
)
from delivery.outbox.statements import execute, execute_many
from models import DeliveryState, db

MAX_WAITING = 200_000
MAX_CLOSED_AT_ONCE = 500

_COUNT_WAITING = """
    SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 'pending' LIMIT :max_waiting)"""
# Receivers remember the ids of deliveries: they go up even if the clock goes back, and differ
# between databases.
_NEXT_IDS = """
    SELECT (SELECT coalesce(max(id), 0) + 1 FROM alert),
        (SELECT max(coalesce(max(id), 0) + 1, :now * 1000000) FROM delivery)"""
_KNOWN_ALERTS = """
    SELECT key, id, status = 'open', body FROM alert
    WHERE key IN (SELECT value FROM json_each(:keys))"""
_OVERDUE = "SELECT key, body FROM alert WHERE closes_at <= :now LIMIT :max_count"
_LAST_DELIVERIES = """
    SELECT alert_id, channel_id, event, state, created_at FROM delivery WHERE id IN (
        SELECT coalesce(max(CASE WHEN state <> 'dropped' THEN id END), max(id)) FROM delivery
        WHERE alert_id IN (
            SELECT id FROM alert WHERE key IN (SELECT value FROM json_each(:keys)))
        GROUP BY alert_id, channel_id)"""
_ROUTES = "SELECT matchers, id, state, repeat_minutes FROM channel"
_SILENCES = """
    SELECT matchers, 'Silence ' || id || ': ' || reason || ' (' || made_by || ')'
    FROM silence WHERE until > :now"""
_STORE_ALERT = """
    INSERT INTO alert (id, key, name, status, body, closes_at, changed_at, seen_at)
    VALUES (:id, :key, :name, :status, :body, :closes_at, :now, :now)
    ON CONFLICT DO UPDATE SET name = :name, status = :status, body = :body, closes_at = :closes_at,
        seen_at = :now, changed_at = iif(status = :status, changed_at, :now)"""
_STORE_DELIVERY = """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        cause, created_at, settled_at, attempts, claims)
    VALUES (:id, :channel_id, :alert_id, :event, :repeated, :state, :due_at, :expires_at,
        :cause, :created_at, iif(:state = 'dropped', :created_at, NULL), 0, 0)"""
_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :cause, settled_at = :created_at
    WHERE alert_id = :alert_id AND channel_id = :channel_id AND id < :id
        AND state IN ('pending', 'held')"""


class OutboxFull(Exception):
    """Too many deliveries wait already: no more are stored."""


@dataclass
class WaitingCount:
    """How many deliveries wait, and when they were counted."""

    count: int = 0
    counted_at: int = 0


_waiting_counts: dict[str, WaitingCount] = defaultdict(WaitingCount)  # by database


def store(received: Sequence[ReceivedAlert], now: int, urgent: bool = False) -> list[IngestResult]:
    """Store alerts and the deliveries that they make due, in the order received.

    An alert that stays open makes no further delivery, except for channels with a repeat interval
    and channels that have no delivery of its opening. A closing goes to the channels that have
    one.

    Raises:
        OutboxFull: too many deliveries wait, and the alerts are not urgent.
    """
    with db.atomic():
        waiting = _waiting_counts[db.obj.database]
        if not 0 <= now - waiting.counted_at < SECOND:  # counting many of them takes long
            waiting.count = execute(_COUNT_WAITING, max_waiting=MAX_WAITING).fetchone()[0]
            waiting.counted_at = now
        if waiting.count >= MAX_WAITING and not urgent:
            raise OutboxFull
        plan = WritePlan([alert.key for alert in received], now)
        results = [plan.add(alert) for alert in received]
        plan.write()
        waiting.count += len(plan.deliveries)
    return results


def close_overdue(now: int) -> int:
    """Close open alerts that were not sent again in time, and return how many."""
    closings = []
    for key, body in execute(_OVERDUE, now=now, max_count=MAX_CLOSED_AT_ONCE):
        alert = replace(alert_from_json(body), status=AlertStatus.CLOSED, ends_at=now)
        closings.append(ReceivedAlert(key, alert))
    if closings:
        store(closings, now, urgent=True)
    return len(closings)


class WritePlan:
    """Everything that one transaction writes."""

    def __init__(self, keys: list[str], now: int):
        keys_json = json.dumps(keys)
        known = execute(_KNOWN_ALERTS, keys=keys_json)
        self._known: dict[str, tuple[int, bool, str]] = {row[0]: row[1:] for row in known}
        last = execute(_LAST_DELIVERIES, keys=keys_json)
        last_deliveries = {row[:2]: LastDelivery(*row[2:]) for row in last}
        self._alert_ids, delivery_ids = map(count, execute(_NEXT_IDS, now=now).fetchone())
        self._context = RoutingContext(
            now, _routes(), _silences(now), last_deliveries, delivery_ids
        )
        self.alerts: list[dict] = []
        self.deliveries: list[NewDelivery] = []

    def add(self, received: ReceivedAlert) -> IngestResult:
        """Add an alert and its deliveries."""
        now = self._context.now
        key = received.key
        known = self._known.get(key) or (next(self._alert_ids), False, "")
        alert_id, was_open, old_body = known
        alert = merge_alert(received.alert, old_body, now)
        body = alert_to_json(alert)
        self.alerts.append(
            {
                "id": alert_id,
                "key": key,
                "name": alert.name,
                "status": alert.status,
                "body": body,
                "closes_at": received.closes_at,
                "now": now,
            }
        )
        is_open = alert.status == AlertStatus.OPEN
        self._known[key] = (alert_id, is_open, body)
        change = AlertChange(alert_id, alert, labels_of(alert), was_open, is_open)
        deliveries = plan_deliveries(change, self._context)
        self.deliveries += deliveries
        last = self._context.last_deliveries
        for new in deliveries:
            if new.state != DeliveryState.DROPPED or (alert_id, new.channel_id) not in last:
                last[alert_id, new.channel_id] = new
        return IngestResult(alert_id, tuple(f"msg_{new.id}" for new in deliveries))

    def write(self) -> None:
        """Write everything that was added."""
        execute_many(_STORE_ALERT, self.alerts)
        execute_many(_STORE_DELIVERY, map(vars, self.deliveries))
        for new in self.deliveries:
            if new.supersedes:
                db.execute_sql(_SUPERSEDE, {**vars(new), "cause": SUPERSEDED_BY[new.event]})


def _routes() -> list[ChannelRoute]:
    return [ChannelRoute(_matchers(text), *columns) for text, *columns in execute(_ROUTES)]


def _silences(now: int) -> list[ActiveSilence]:
    rows = execute(_SILENCES, now=now)
    return [ActiveSilence(_matchers(text), cause) for text, cause in rows]


def _matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a row; damaged ones match every alert, so that none is lost."""
    try:
        return parse_matchers(text)
    except MatcherError:
        return ()
