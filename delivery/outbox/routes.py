"""Read what decides about alerts: the channels, and their last deliveries."""

from typing import Any

from delivery.alerts.flapping import read_changes
from delivery.alerts.grouping import MAX_GROUP_WAIT, read_group_by
from delivery.alerts.plans import ChannelRoute, LastDelivery
from delivery.alerts.route_index import RouteIndex
from delivery.kinds import kinds
from delivery.outbox.silences import read_matchers
from delivery.outbox.statements import execute
from models import db

_LAST_DELIVERIES = """
    SELECT n.alert_id, n.channel_id, d.event, d.state, d.created_at, d.settled_at, d.config_hash,
        d.snapshot, n.notified_id IS NOT NULL AS is_notified,
        n.silence_id IS NOT NULL AS is_silenced,
        n.failures, n.group_key, n.changes, n.flapping AS is_flapping, EXISTS (
            SELECT 1 FROM delivery s WHERE s.alert_id = n.alert_id
                AND s.channel_id = n.channel_id AND s.state = 'sending' AND s.event = 'open'
        ) AS is_under_way
    FROM notification n JOIN delivery d ON d.id = n.delivery_id
    WHERE n.alert_id IN (
        SELECT id FROM alert WHERE key IN (SELECT value FROM json_each(:keys)))"""
_ROUTES = """
    SELECT kind, matchers, repeat_minutes, group_by, group_wait, drops, id, state, config_hash,
        retries, fallback_id
    FROM channel WHERE deleted_at IS NULL ORDER BY id"""
# The rows of the last transaction and their index, by database: channels change seldom.
_latest: dict[str, tuple[list, RouteIndex]] = {}


def read_last_deliveries(keys_json: str) -> dict[tuple[int, int], LastDelivery]:
    """Return the last deliveries of alerts by alert and channel; the keys are a JSON list."""
    last: dict[tuple[int, int], LastDelivery] = {}
    cursor = execute(_LAST_DELIVERIES, keys=keys_json)
    names = [column[0] for column in cursor.description[2:]]
    for alert_id, channel_id, *columns in cursor:
        known = dict(zip(names, columns, strict=True))
        known["changes"] = read_changes(known["changes"])
        last[alert_id, channel_id] = LastDelivery(**known)
    return last


def read_routes() -> RouteIndex:
    """Return what of each channel decides about alerts."""
    rows = execute(_ROUTES).fetchall()
    known = _latest.get(db.obj.database)
    if known is None or known[0] != rows:
        known = (rows, RouteIndex(_read_route(*row) for row in rows))
        _latest[db.obj.database] = known
    return known[1]


def _read_route(
    kind: str, matchers: str, repeat_minutes: int, group_by: str, group_wait: int, *columns: Any
) -> ChannelRoute:
    """Return the route of a row."""
    return ChannelRoute(
        read_matchers(matchers),
        _shortest(repeat_minutes, kind),
        read_group_by(group_by),
        min(max(group_wait, 0), MAX_GROUP_WAIT),
        *columns,
    )


def _shortest(repeat_minutes: int, kind_name: str) -> int:
    """Return the repeat interval of a channel in minutes, or of its kind if that is shorter."""
    kind = kinds().get(kind_name)
    intervals = (repeat_minutes, kind.repeat_minutes if kind else 0)
    return min(filter(None, intervals), default=0)
