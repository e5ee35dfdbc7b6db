"""Find the deliveries that a filter accepts, and count them.

An index finds the rows by state, channel, alert and time. What no index knows is decided row by
row, for a bounded time; the page says how far back it has searched.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from delivery.alerts.received import alert_from_json
from delivery.log.log_filter import LogFilter
from delivery.log.slices import search_slices
from models import ID_PER_MS, MAX_ID, DeliveryState, db

MAX_COUNT = 1000

_IDS = """
    SELECT id FROM delivery WHERE id < :before AND id >= :after
        AND channel_id NOT IN (SELECT id FROM channel WHERE deleted_at IS NOT NULL)
    ORDER BY id DESC LIMIT :limit"""
# For each row of a source, the newest ids are the end of a range of an index.
_NEWEST_OF_EACH = """
    SELECT d.id FROM {source} CROSS JOIN /*sqlite*/ delivery d ON d.id IN /*end*/
        /*postgresql LATERAL */ (
        SELECT id FROM delivery
        WHERE {condition} AND state = s.value AND id < :before AND id >= :after
        ORDER BY id DESC LIMIT :limit) /*postgresql d */
    ORDER BY d.id DESC LIMIT :limit"""
_CHANNELS_AND_STATES = """(
    SELECT id FROM channel WHERE deleted_at IS NULL AND :channel IN (0, id)) AS c
    CROSS JOIN json_each(:states) s"""


def _newest_of_each(source: str, condition: str) -> str:
    return _NEWEST_OF_EACH.replace("{source}", source).replace("{condition}", condition)


_IDS_IN_STATES = _newest_of_each(
    "json_each(:states) s",
    "channel_id NOT IN (SELECT id FROM channel WHERE deleted_at IS NOT NULL)",
)
_IDS_OF_CHANNEL = _newest_of_each(_CHANNELS_AND_STATES, "channel_id = c.id")
_IDS_OF_ALERT = _newest_of_each(_CHANNELS_AND_STATES, "alert_id = :alert AND channel_id = c.id")
# The reason is that of the last attempt: of the delivery alone, or of its group message.
_READ = """
    SELECT d.id, d.cause, a.body FROM delivery d JOIN alert a ON a.id = d.alert_id
    WHERE d.id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
        AND :urgency IN (-1, a.urgency)
        AND (:reason = '' OR :reason = (
            SELECT reason FROM attempt WHERE id = max(
                coalesce((SELECT max(id) FROM attempt WHERE delivery_id = d.id), 0),
                coalesce((
                    SELECT max(id) FROM attempt
                    WHERE message_id = d.message_id AND message_id IS NOT NULL), 0))))
    ORDER BY d.id DESC"""
_COUNT_ALL = """
    SELECT s.value, (
        SELECT count(*) FROM (
            SELECT 1 FROM delivery WHERE state = s.value AND id < :before AND id >= :after
            LIMIT :limit) AS part)
    FROM json_each(:states) s"""
_COUNT_OF_CHANNEL = _COUNT_ALL.replace("WHERE", "WHERE channel_id = :channel AND")


class Found(NamedTuple):
    """The ids of deliveries, the newest first.

    `older` is the id that the search goes on before, or None at the end. `is_complete` says that
    there may be more only because as many were asked for.
    """

    ids: list[int]
    older: int | None
    is_complete: bool = True


def find(log_filter: LogFilter, before: int, size: int) -> Found:
    """Return the newest deliveries that a filter accepts, with ids below `before` (0: all)."""
    read = partial(_ids, log_filter)
    if log_filter.reads_rows:
        ids, last = search_slices(read, partial(_accepted, log_filter), before, size)
    else:
        ids, last = read(before, size + 1), None
    if len(ids) > size:
        return Found(ids[:size], ids[size - 1])
    return Found(ids, last, is_complete=last is None)


def _ids(log_filter: LogFilter, before: int, limit: int) -> list[int]:
    """Return the newest ids that the index finds."""
    parameters = {**parameters_of(log_filter, before), "limit": limit}
    return [number for (number,) in db.execute_sql(choose_statement(log_filter), parameters)]


def parameters_of(log_filter: LogFilter, before: int = 0) -> dict[str, Any]:
    """Return the parameters that all statements of the log have, for ids below `before`."""
    end = before or MAX_ID
    if log_filter.until is not None:
        end = min(end, max(0, log_filter.until) * ID_PER_MS)
    return {
        "states": json.dumps(log_filter.states or list(DeliveryState)),
        "channel": log_filter.channel,
        "alert": log_filter.alert,
        "before": min(end, MAX_ID),
        "after": min(max(0, log_filter.since or 0) * ID_PER_MS, MAX_ID),
    }


def choose_statement(log_filter: LogFilter) -> str:
    """Return the statement that selects the newest ids."""
    if log_filter.alert:
        return _IDS_OF_ALERT
    if log_filter.channel:
        return _IDS_OF_CHANNEL
    return _IDS_IN_STATES if log_filter.states else _IDS


def _accepted(log_filter: LogFilter, ids: Sequence[int]) -> list[int]:
    """Return the ids of the deliveries that a filter accepts, in their order."""
    parameters = {
        "ids": json.dumps(ids),
        "urgency": log_filter.urgency,
        "reason": log_filter.reason,
    }
    accepted = []
    for number, cause, body in db.execute_sql(_READ, parameters):
        if not log_filter.reads_alerts or log_filter.accepts(alert_from_json(body), cause):
            accepted.append(number)
    return accepted


def count_by_state(log_filter: LogFilter) -> dict[str, int]:
    """Return the number of deliveries in each state, at most `MAX_COUNT` + 1 of each.

    Only the channel and the times of the filter count.
    """
    statement = _COUNT_OF_CHANNEL if log_filter.channel else _COUNT_ALL
    parameters = {**parameters_of(replace(log_filter, states=())), "limit": MAX_COUNT + 1}
    return dict(db.execute_sql(statement, parameters))
