"""Apply to deliveries what happened to alerts and channels while they were under way."""

import json
from collections.abc import Iterable

from delivery.alerts.causes import (
    CHANGED_UNDER_WAY,
    CHANNEL_DROPS,
    CHANNEL_NOT_DELIVERING,
    OPENING_NOT_ARRIVED,
)
from delivery.kinds import keeps_incidents, kinds
from delivery.outbox.statements import NOT_DROPPED, execute, execute_many

_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :changed, settled_at = :now
    WHERE id = :id AND state IN ('pending', 'held') AND EXISTS (
        SELECT 1 FROM delivery n WHERE n.alert_id = delivery.alert_id
            AND n.channel_id = delivery.channel_id AND n.id > delivery.id
            AND n.state IN (SELECT value FROM json_each(:newer_states)))"""
# A closing that was planned while its opening, or an earlier closing, was under way. One that is
# sent again after it had arrived stays.
_WITHDRAW_CLOSING = """
    UPDATE delivery SET state = 'superseded', cause = :unnotified, settled_at = :now
    WHERE event = 'closed' AND state IN ('pending', 'held') AND id > :id
        AND (alert_id, channel_id) = (SELECT alert_id, channel_id FROM delivery WHERE id = :id)
        AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.alert_id = delivery.alert_id
            AND n.channel_id = delivery.channel_id AND n.notified_id IS NOT NULL)"""
# An incident of a backlog or a digest would never be resolved: each alert has its own.
_SEPARATE = """
    UPDATE delivery SET group_key = coalesce((
        SELECT n.group_key FROM notification n
        WHERE n.alert_id = delivery.alert_id AND n.channel_id = delivery.channel_id), '')
    WHERE id = :id AND (substr(group_key, 1, 8) = 'backlog-' OR substr(group_key, 1, 7) = 'digest-')
        AND (SELECT kind FROM channel WHERE id = channel_id) IN (
            SELECT value FROM json_each(:incident_kinds))"""
_COMBINED = """
    SELECT id FROM delivery WHERE channel_id = :channel_id AND state IN ('pending', 'held')
        AND (substr(group_key, 1, 8) = 'backlog-' OR substr(group_key, 1, 7) = 'digest-')"""
_DROP = """
    UPDATE delivery SET state = 'dropped', cause = :dropped, settled_at = :now
    WHERE id = :id AND state IN ('pending', 'held') AND event = 'open'
        AND EXISTS (SELECT 1 FROM channel
            WHERE id = channel_id AND state = 'paused' AND drops = 1)"""
_HOLD = """
    UPDATE delivery SET state = 'held', cause = :held WHERE id = :id AND state = 'pending'
        AND (SELECT state FROM channel WHERE id = channel_id) <> 'delivering'"""
_FREE = """
    UPDATE delivery SET state = 'pending', due_at = :now WHERE id = :id AND state = 'held'
        AND (SELECT state FROM channel WHERE id = channel_id) = 'delivering'"""


def catch_up(delivery_ids: Iterable[int], now: int) -> None:
    """Give deliveries that wait again the state that their alerts and channels ask for.

    They are superseded by newer ones, and held or dropped while their channel does not deliver.
    """
    ids = list(delivery_ids)
    if not ids:
        return
    causes = {"changed": CHANGED_UNDER_WAY, "held": CHANNEL_NOT_DELIVERING}
    causes["dropped"] = CHANNEL_DROPS
    causes["newer_states"] = json.dumps(NOT_DROPPED)
    causes["incident_kinds"] = _incident_kinds()
    rows = [{"id": delivery_id, "now": now, **causes} for delivery_id in ids]
    for statement in (_SUPERSEDE, _DROP, _HOLD, _FREE, _SEPARATE):
        execute_many(statement, rows)


def separate(channel_id: int) -> None:
    """Take apart what was combined for a channel, if its kind keeps an incident for each alert."""
    ids = execute(_COMBINED, channel_id=channel_id).fetchall()
    rows = [{"id": delivery_id, "incident_kinds": _incident_kinds()} for (delivery_id,) in ids]
    execute_many(_SEPARATE, rows)


def _incident_kinds() -> str:
    return json.dumps(list(filter(keeps_incidents, kinds())))


def withdraw_closings(delivery_ids: Iterable[int], now: int) -> None:
    """Withdraw the closings behind these deliveries if the channel does not know the alert open."""
    cause = {"now": now, "unnotified": OPENING_NOT_ARRIVED}
    execute_many(_WITHDRAW_CLOSING, ({"id": one, **cause} for one in delivery_ids))
