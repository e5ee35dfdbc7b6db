"""What one transaction writes: alerts, the deliveries that they make due, and notifications."""

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import NamedTuple

from delivery.alerts.alert import Alert
from delivery.alerts.matchers import labels_of
from delivery.alerts.own_alerts import channel_of_key
from delivery.alerts.plans import (
    WAITING_STATES,
    ChannelPlan,
    ChannelRoute,
    RoutingContext,
)
from delivery.alerts.received import (
    NO_CHANNEL,
    TOO_LATE,
    AlertChange,
    IngestResult,
    ReceivedAlert,
    alert_from_json,
    alert_to_json,
    is_stale,
    merge_alert,
)
from delivery.alerts.routing import find_silence, plan_deliveries
from delivery.outbox.planned_rows import PlannedRows
from delivery.outbox.routes import read_last_deliveries, read_routes
from delivery.outbox.silences import active_silences
from delivery.outbox.statements import execute
from models import DeliveryState

# Receivers remember the ids of deliveries: they go up even if the clock goes back, and differ
# between databases. They remember alerts too, so the id of a deleted one is not used again.
_NEXT_IDS = """
    SELECT (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'alert'),
        (SELECT max(:now * 1000000, coalesce(max(d.id), 0) + 1, (
            SELECT coalesce(max(id), 0) + 1 FROM group_message)) FROM delivery d)"""
_KNOWN_ALERTS = """
    SELECT key, id, status = 'open', body, resolved_start, changed_at FROM alert
    WHERE key IN (SELECT value FROM json_each(:keys))"""
_GROUP_DUE_AT = """
    SELECT min(due_at) FROM delivery
    WHERE channel_id = :channel_id AND group_key = :group_key AND group_key <> ''
        AND state IN ('pending', 'sending') AND state = 'pending' AND attempts = 0"""
_ADD_UNMATCHED = """
    INSERT INTO fact (name, value) VALUES ('unmatched alerts', CAST(:count AS TEXT))
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(fact.value AS BIGINT) + :count AS TEXT)"""
_COUNT_UNMATCHED = """
    SELECT coalesce(max(CAST(value AS BIGINT)), 0) FROM fact WHERE name = 'unmatched alerts'"""


class _KnownAlert(NamedTuple):
    id: int
    is_open: bool = False
    body: str = ""
    resolved_start: int | None = None
    changed_at: int = 0


class WritePlan:
    """Everything that one transaction writes about the alerts with these keys."""

    def __init__(self, keys: Iterable[str], now: int):
        keys_json = json.dumps(list(keys))
        self._known: dict[str, _KnownAlert] = {}
        for key, *columns in execute(_KNOWN_ALERTS, keys=keys_json):
            self._known[key] = _KnownAlert(*columns)
        self._alert_ids, delivery_ids = map(count, execute(_NEXT_IDS, now=now).fetchone())
        self._silences = active_silences(now)
        self._index = read_routes()
        self._context = RoutingContext(
            now,
            list(self._index.routes.values()),
            read_last_deliveries(keys_json) if self._known else {},
            delivery_ids,
            self._group_due_at,
        )
        self._groups_due_at: dict[tuple[int, str], int | None] = {}
        self._rows = PlannedRows(now, delivery_ids)
        self._unmatched = 0

    @property
    def count(self) -> int:
        """The number of new deliveries."""
        return len(self._rows.deliveries)

    def add(self, received: ReceivedAlert) -> IngestResult:
        """Add an alert and its deliveries; one that came too late changes nothing."""
        now = self._context.now
        known = self._known.get(received.key) or _KnownAlert(next(self._alert_ids))
        if not known.is_open and is_stale(
            received.alert, known.resolved_start, known.changed_at, now
        ):
            return IngestResult(known.id, (), TOO_LATE)
        alert = merge_alert(received.alert, known.body, now)
        updated = self._update(known, alert, received.resolves)
        self._known[received.key] = updated
        change = self._change(
            known,
            received.key,
            alert,
            received=True,
            earlier_body="" if known.body == updated.body else known.body,
        )
        self._rows.alerts[known.id] = (
            known.id,
            received.key,
            alert.name,
            alert.status,
            updated.body,
            received.closes_at,
            updated.changed_at,
            now,
            updated.resolved_start,
            change.urgency,
        )
        deliveries = self._plan(change, received.key)
        if alert.closed or change.matched:
            return IngestResult(known.id, deliveries)
        self._unmatched += not known.is_open
        return IngestResult(known.id, deliveries, NO_CHANNEL)

    def _change(
        self, known: _KnownAlert, key: str, alert: Alert, received: bool, earlier_body: str = ""
    ) -> AlertChange:
        labels = labels_of(alert)
        matched: Collection[int] = ()
        silence = None
        if not alert.closed:
            matched = self._matched(key, labels)
            silence = find_silence(labels, self._silences)
        return AlertChange(
            known.id, alert, labels, matched, silence, known.is_open, received, earlier_body
        )

    def _matched(self, key: str, labels: dict[str, str]) -> Collection[int]:
        """Return the ids of the channels that match an open alert.

        For an alert about a channel, that is the fallback of the channel.
        """
        channel_id = channel_of_key(key)
        if channel_id is None:
            return self._index.matching(labels)
        routes = self._index.routes
        route = routes.get(channel_id)
        return {route.fallback_id} if route and route.fallback_id in routes else ()

    def _group_due_at(self, channel_id: int, key: str) -> int | None:
        """Return when the first message of a group is due that was never sent."""
        group = (channel_id, key)
        if group not in self._groups_due_at:
            row = execute(_GROUP_DUE_AT, channel_id=channel_id, group_key=key).fetchone()
            self._groups_due_at[group] = row[0]
        return self._groups_due_at[group]

    def _update(self, known: _KnownAlert, alert: Alert, resolves: bool) -> _KnownAlert:
        is_open = not alert.closed
        changed_at = known.changed_at
        if known.is_open != is_open or not changed_at:
            changed_at = self._context.now
        resolved_start = known.resolved_start
        if resolves and not is_open:
            resolved_start = alert.starts_at
        return _KnownAlert(known.id, is_open, alert_to_json(alert), resolved_start, changed_at)

    def review(self, key: str) -> None:
        """Plan the deliveries of a stored alert again, as time and silences have passed."""
        known = self._known[key]
        alert = alert_from_json(known.body)
        self._plan(self._change(known, key, alert, received=False), key)

    def _plan(self, change: AlertChange, key: str) -> tuple[str, ...]:
        """Plan the deliveries of a change of the alert with this key, and return their ids."""
        context = self._context
        if channel_of_key(key) is not None:
            # An alert of Tocsin is sent once, without the wait of a group.
            routes = self._routes_of(change)
            own = [route._replace(repeat_minutes=0, group_by=()) for route in routes]
            context = replace(context, routes=own)
        elif change.received:
            context = replace(context, routes=self._routes_of(change))
        new = []
        for plan in plan_deliveries(change, context):
            pair = (change.id, plan.channel_id)
            self._rows.add_plan(pair, plan)
            self._remember(pair, plan)
            if plan.delivery:
                new.append(f"msg_{plan.delivery.id}")
        return tuple(new)

    def _routes_of(self, change: AlertChange) -> list[ChannelRoute]:
        """Return the channels that match an alert, or have a delivery of it."""
        concerned = self._channels_of.get(change.id, set()).union(change.matched)
        routes = self._index.routes
        return [routes[number] for number in sorted(concerned) if number in routes]

    @cached_property
    def _channels_of(self) -> dict[int, set[int]]:
        """The channels that have a delivery, by the id of the alert."""
        channels: dict[int, set[int]] = {}
        for alert_id, channel_id in self._context.last_deliveries:
            channels.setdefault(alert_id, set()).add(channel_id)
        return channels

    def _remember(self, pair: tuple[int, int], plan: ChannelPlan) -> None:
        """Note the plan for the alerts of the same transaction that follow."""
        self._channels_of.setdefault(pair[0], set()).add(pair[1])
        last = self._context.last_deliveries
        is_sent = plan.delivery is not None and plan.delivery.state != DeliveryState.DROPPED
        if plan.delivery and (is_sent or pair not in last):
            last[pair] = plan.delivery
        elif plan.supersede and last[pair].state in WAITING_STATES:
            last[pair] = replace(last[pair], state=DeliveryState.SUPERSEDED)
        if plan.changes is not None:
            last[pair].changes = plan.changes
            last[pair].is_flapping = plan.is_flapping
        if plan.delivery and plan.delivery.group_key and is_sent:
            self._groups_due_at[plan.channel_id, plan.delivery.group_key] = plan.delivery.due_at

    def write(self) -> None:
        """Write everything that was added."""
        self._rows.write()
        if self._unmatched:
            execute(_ADD_UNMATCHED, count=self._unmatched)


def count_unmatched() -> int:
    """Return how many times an alert opened that matched no channel."""
    return execute(_COUNT_UNMATCHED).fetchone()[0]
