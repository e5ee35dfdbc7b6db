"""The rows that one transaction writes: alerts, deliveries and notifications."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from delivery.alerts.flapping import write_changes
from delivery.alerts.plans import ChannelPlan, NewDelivery
from delivery.outbox.statements import execute, execute_many, insert_rows
from models import DeliveryState

_STORE_ALERTS = """
    INSERT INTO alert (id, key, name, status, body, closes_at, changed_at, seen_at, resolved_start,
        urgency)
    VALUES {rows}
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, status = excluded.status,
        body = excluded.body, closes_at = excluded.closes_at, changed_at = excluded.changed_at,
        seen_at = excluded.seen_at, resolved_start = excluded.resolved_start,
        urgency = excluded.urgency"""
_ALERT_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STORE_DELIVERIES = """
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        cause, created_at, settled_at, urgency, group_key, flapping, attempts, claims, config_hash,
        retries, not_found)
    VALUES {rows}"""
_DELIVERY_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', 0, 0)"
_delivery_row = attrgetter(
    "id",
    "channel_id",
    "alert_id",
    "event",
    "repeated",
    "state",
    "due_at",
    "expires_at",
    "cause",
    "created_at",
    "settled_at",
    "urgency",
    "group_key",
    "flapping",
)
# Triggers count the deliveries that are settled later (migration 0005).
_COUNT_DROPPED = """
    INSERT INTO settled_count (state, number) VALUES ('dropped', :count)
    ON CONFLICT (state) DO UPDATE SET number = settled_count.number + :count"""
_STORE_NOTIFICATIONS = """
    INSERT INTO notification (alert_id, channel_id, delivery_id, failures, review_at, silence_id,
        group_key, changes, flapping)
    VALUES {rows}
    ON CONFLICT (alert_id, channel_id) DO UPDATE SET delivery_id = excluded.delivery_id,
        failures = excluded.failures, review_at = excluded.review_at,
        silence_id = excluded.silence_id, group_key = excluded.group_key,
        changes = excluded.changes, flapping = excluded.flapping"""
_NOTIFICATION_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
# Keeps what the plan does not say.
_CHANGE_NOTIFICATION = """
    INSERT INTO notification (alert_id, channel_id, delivery_id, failures, review_at, silence_id,
        group_key, changes, flapping)
    VALUES (:alert_id, :channel_id, :delivery_id, :failures, :review_at, :silence_id,
        :group_key, coalesce(:changes, ''), :is_flapping)
    ON CONFLICT (alert_id, channel_id) DO UPDATE SET
        delivery_id = iif(:is_dropped, notification.delivery_id, :delivery_id),
        failures = :failures, review_at = :review_at, silence_id = :silence_id,
        group_key = :group_key, changes = coalesce(:changes, notification.changes),
        flapping = iif(CAST(:changes AS TEXT) IS NULL, notification.flapping, :is_flapping)"""
_STORE_REVIEW = """
    UPDATE notification SET changes = coalesce(:changes, changes),
        flapping = iif(CAST(:changes AS TEXT) IS NULL, flapping, :is_flapping),
        review_at = iif(:keeps_review, review_at, :review_at),
        silence_id = iif(:keeps_review, silence_id, :silence_id)
    WHERE alert_id = :alert_id AND channel_id = :channel_id"""
_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :supersede, settled_at = :now
    WHERE alert_id = :alert_id AND channel_id = :channel_id AND id < :before
        AND state IN ('pending', 'held')"""


class PlannedRows:
    """The rows of alerts by id, new deliveries, and changes of notifications.

    Most notifications are written as whole rows. Those that a plan leaves partly as they are, or
    that change twice, are changed one by one after that.
    """

    def __init__(self, now: int, delivery_ids: Iterator[int]):
        self.alerts: dict[int, tuple] = {}
        self.deliveries: list[NewDelivery] = []
        self._notifications: dict[tuple[int, int], tuple] = {}  # by alert and channel
        self._changes: list[dict] = []
        self._changed: set[tuple[int, int]] = set()
        self._superseded: list[dict] = []
        self._now = now
        self._delivery_ids = delivery_ids

    def add_plan(self, pair: tuple[int, int], plan: ChannelPlan) -> None:
        """Add what follows for an alert and a channel, which are given by their ids."""
        delivery = plan.delivery
        if delivery:
            self.deliveries.append(delivery)
        if plan.supersede:
            before = delivery.id if delivery else next(self._delivery_ids)
            columns = {"alert_id": pair[0], "channel_id": pair[1], "now": self._now}
            self._superseded.append({**columns, "supersede": plan.supersede, "before": before})
        is_first = pair not in self._notifications and pair not in self._changed
        is_sent = delivery is not None and delivery.state != DeliveryState.DROPPED
        if delivery and is_sent and is_first and plan.changes is not None:
            self._notifications[pair] = (
                *pair,
                delivery.id,
                delivery.failures,
                plan.review_at,
                plan.silence_id,
                delivery.group_key,
                write_changes(plan.changes),
                int(plan.is_flapping),
            )
        else:
            self._changed.add(pair)
            self._changes.append(_columns_of_change(pair[0], plan))

    def write(self) -> None:
        """Write everything that was added."""
        insert_rows(_STORE_ALERTS, _ALERT_ROW, list(self.alerts.values()))
        insert_rows(_STORE_DELIVERIES, _DELIVERY_ROW, list(map(_delivery_row, self.deliveries)))
        dropped = sum(delivery.state == DeliveryState.DROPPED for delivery in self.deliveries)
        if dropped:
            execute(_COUNT_DROPPED, count=dropped)
        insert_rows(_STORE_NOTIFICATIONS, _NOTIFICATION_ROW, list(self._notifications.values()))
        # In their order: the last plan for a pair decides when that is reviewed.
        for has_delivery, plans in groupby(self._changes, lambda plan: "delivery_id" in plan):
            execute_many(_CHANGE_NOTIFICATION if has_delivery else _STORE_REVIEW, plans)
        execute_many(_SUPERSEDE, self._superseded)


def _columns_of_change(alert_id: int, plan: ChannelPlan) -> dict:
    columns = {**vars(plan), "alert_id": alert_id}
    if plan.changes is not None:
        columns["changes"] = write_changes(plan.changes)
    if plan.delivery:
        columns["delivery_id"] = plan.delivery.id
        columns["failures"] = plan.delivery.failures
        columns["group_key"] = plan.delivery.group_key
        columns["is_dropped"] = plan.delivery.state == DeliveryState.DROPPED
    return columns
