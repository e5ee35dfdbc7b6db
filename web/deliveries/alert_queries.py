"""Queries of an alert's page.

None reads more than two deliveries a channel, however many the alert has.
"""

from collections.abc import Iterable
from typing import Any

from delivery.alerts.alert import AlertStatus
from delivery.alerts.matchers import explain_mismatch, labels_of
from delivery.alerts.received import alert_from_json
from delivery.outbox.silences import read_matchers
from models import MAX_ID, Alert, Channel, Delivery, Notification, Silence
from web.deliveries.notifications import ChannelNotification
from web.deliveries.queries import DELIVERY_COLUMNS


def find_alert(alert_id: int) -> Alert | None:
    """Return the alert with this id, or None; any integer is allowed."""
    return Alert.get_or_none(Alert.id == min(alert_id, MAX_ID))


def channel_notifications(row: Alert, now: int) -> list[ChannelNotification]:
    """Return what is known about the alert and each channel, ordered by the channel's name."""
    labels = labels_of(alert_from_json(row.body))
    stored = _stored_facts(row)
    notifications = []
    for channel in Channel.listed():
        mismatch = explain_mismatch(read_matchers(channel.matchers), labels)
        notification = ChannelNotification(
            channel=channel,
            is_open=row.status == AlertStatus.OPEN,
            matches=not mismatch,
            mismatch=mismatch,
            now=now,
            **stored.get(channel.id, {}),
        )
        notifications.append(notification)
    return notifications


def _stored_facts(row: Alert) -> dict[int, dict]:
    """Return the stored fields of each `ChannelNotification` of an alert, by channel id."""
    rows: Any = Notification.select().where(Notification.alert == row.id)
    stored = list(rows.dicts())
    delivery_ids = {columns[name] for columns in stored for name in ("delivery_id", "notified_id")}
    deliveries = _by_id(Delivery, delivery_ids, DELIVERY_COLUMNS)
    silences = _by_id(Silence, {columns["silence_id"] for columns in stored})
    facts = {}
    for columns in stored:
        facts[columns["channel"]] = {
            "last": deliveries.get(columns["delivery_id"]),
            "notified_by": deliveries.get(columns["notified_id"]),
            "failures": columns["failures"],
            "review_at": columns["review_at"],
            "silence": silences.get(columns["silence_id"]),
        }
    return facts


def _by_id(model: Any, ids: set[int], columns: Iterable[Any] = ()) -> dict[int, Any]:
    return {found.id: found for found in model.select(*columns).where(model.id << ids)}
