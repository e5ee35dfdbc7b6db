"""Queries of an alert's page.

None reads more than two deliveries a channel, however many the alert has.
"""

from collections.abc import Iterable
from typing import Any

from delivery.alerts.alert import AlertStatus
from delivery.alerts.matchers import explain_mismatch, labels_of
from delivery.alerts.own_alerts import channel_of_key
from delivery.alerts.received import alert_from_json
from delivery.outbox.silences import read_matchers
from models import Alert, Channel, Delivery, Notification, Silence
from web.deliveries.log import DELIVERY_COLUMNS
from web.deliveries.notifications import ChannelNotification

_ONLY_FALLBACK = "This alert is about a channel, and goes only to the fallback of that channel."


def find_alert(alert_id: int) -> Alert | None:
    """Return the alert with this id, or None."""
    return Alert.get_or_none(Alert.id == alert_id)


def channel_notifications(row: Alert, now: int) -> list[ChannelNotification]:
    """Return what is known about the alert and each channel, ordered by the channel's name."""
    labels = labels_of(alert_from_json(row.body))
    stored = _stored_facts(row)
    channels = list(Channel.listed())
    fallback_ids = _fallback_ids(row, channels)
    notifications = []
    for channel in channels:
        mismatch = explain_mismatch(read_matchers(channel.matchers), labels)
        if fallback_ids is not None:
            mismatch = "" if channel.id in fallback_ids else _ONLY_FALLBACK
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


def _fallback_ids(row: Alert, channels: Iterable[Channel]) -> set[int | None] | None:
    """Return which channels get an alert about a channel; None for any other alert."""
    about = channel_of_key(row.key)
    if about is None:
        return None
    return {channel.fallback_id for channel in channels if channel.id == about}


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
            "flapping": bool(columns["flapping"]),
            "silence": silences.get(columns["silence_id"]),
        }
    return facts


def _by_id(model: Any, ids: set[int], columns: Iterable[Any] = ()) -> dict[int, Any]:
    return {found.id: found for found in model.select(*columns).where(model.id << ids)}
