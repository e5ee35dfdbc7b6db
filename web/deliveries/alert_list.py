"""The list of alerts: pages of those that a filter accepts, the latest change first."""

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from flask import abort
from peewee import SQL, Select, fn

from delivery.alerts.alert import AlertStatus
from delivery.alerts.received import alert_from_json
from delivery.content.severity import Severity, severity_rank
from delivery.log.log_filter import LogFilter
from delivery.log.slices import search_slices
from models import MAX_ID, Alert, Delivery, Notification, db

PAGE_SIZE = 50
MAX_COUNT = 1000
MAX_OF_ALERT = 100

_IDS = """
    SELECT a.id, a.changed_at FROM json_each(:statuses) s
    CROSS JOIN /*sqlite*/ alert a ON a.id IN /*end*/ /*postgresql LATERAL */ (
        SELECT id /*postgresql , changed_at */ FROM alert
        WHERE {condition} AND (changed_at, id) < (:before_time, :before_id)
            AND changed_at >= :since
        ORDER BY changed_at DESC, id DESC LIMIT :limit) /*postgresql a */
    ORDER BY a.changed_at DESC, a.id DESC LIMIT :limit"""
_IDS_OF_STATUSES = _IDS.replace("{condition}", "status = s.value")
_IDS_OF_OPEN = _IDS.replace("{condition}", "status = 'open' AND urgency = :urgency")
_BODIES = """
    SELECT id, body FROM alert
    WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
        AND :urgency IN (-1, urgency)"""
_COUNT_OPEN = """
    SELECT u.value, (
        SELECT count(*) FROM (
            SELECT 1 FROM alert WHERE status = 'open' AND urgency = CAST(u.value AS BIGINT)
            LIMIT :limit) AS part)
    FROM json_each(:urgencies) u"""


class Cursor(NamedTuple):
    """The place of an alert in the list: its last change, then its id."""

    changed_at: int
    id: int

    def __str__(self) -> str:
        return f"{self.changed_at}-{self.id}"


class AlertPage(NamedTuple):
    """A page of alerts; each has `delivery_count` and `has_channel`.

    The count is at most one more than `MAX_OF_ALERT`. `older` and `searched_to` are as in
    `log.Page`.
    """

    alerts: list[Alert]
    older: Cursor | None
    searched_to: int | None = None


def read_cursor(text: str) -> Cursor:
    """Return the cursor of an address; an empty text is before the first alert."""
    if not text:
        return Cursor(MAX_ID, MAX_ID)
    match = re.fullmatch("([0-9]{1,18})-([0-9]{1,18})", text, re.ASCII) or abort(
        404, "The value of “before” in the address is not a place in the list."
    )
    return Cursor(int(match[1]), int(match[2]))


def page_of(log_filter: LogFilter, statuses: Sequence[str], before: Cursor, size: int) -> AlertPage:
    """Return the alerts that a filter accepts and that have one of these statuses."""
    by_index = _IDS_OF_OPEN if _finds_severity(log_filter, statuses) else _IDS_OF_STATUSES
    reads = log_filter.reads_alerts or (log_filter.severity and by_index != _IDS_OF_OPEN)
    read = partial(_cursors, by_index, log_filter, statuses)
    if reads:
        found, last = search_slices(read, partial(_accepted, log_filter), before, size)
    else:
        found, last = read(before, size + 1), None
    if len(found) > size:
        return AlertPage(_rows(found[:size]), found[size - 1])
    return AlertPage(_rows(found), last, last and last.changed_at)


def _finds_severity(log_filter: LogFilter, statuses: Sequence[str]) -> bool:
    return log_filter.severity is not None and list(statuses) == [AlertStatus.OPEN]


def _cursors(
    statement: str, log_filter: LogFilter, statuses: Sequence[str], before: Cursor, limit: int
) -> list[Cursor]:
    if log_filter.until is not None:
        before = min(before, Cursor(max(0, log_filter.until), 0))
    parameters = {
        "statuses": json.dumps(list(statuses)),
        "urgency": log_filter.urgency,
        "before_time": before.changed_at,
        "before_id": before.id,
        "since": -MAX_ID if log_filter.since is None else log_filter.since,
        "limit": limit,
    }
    rows = db.execute_sql(statement, parameters)
    return [Cursor(changed_at, number) for number, changed_at in rows]


def _accepted(log_filter: LogFilter, found: Sequence[Cursor]) -> list[Cursor]:
    ids = json.dumps([cursor.id for cursor in found])
    bodies = dict(db.execute_sql(_BODIES, {"ids": ids, "urgency": log_filter.urgency}))
    accepted = []
    for cursor in found:
        body = bodies.get(cursor.id)
        if body is not None and log_filter.accepts(alert_from_json(body)):
            accepted.append(cursor)
    return accepted


def _rows(cursors: Sequence[Cursor]) -> list[Alert]:
    some = Delivery.select(Delivery.id).where(Delivery.alert == Alert.id).limit(MAX_OF_ALERT + 1)
    count = Select([some], [fn.COUNT(SQL("*"))])
    pairs = Notification.select().where(Notification.alert == Alert.id)
    columns = (count.alias("delivery_count"), fn.EXISTS(pairs).alias("has_channel"))
    rows: Any = Alert.select(Alert, *columns).where(Alert.id << [one.id for one in cursors])
    return list(rows.order_by(Alert.changed_at.desc(), Alert.id.desc()))


def count_open() -> dict[Severity, int]:
    """Return the number of open alerts of each severity, at most `MAX_COUNT` + 1 of each."""
    ranks = {severity_rank(severity): severity for severity in Severity}
    parameters = {"urgencies": json.dumps(list(ranks)), "limit": MAX_COUNT + 1}
    counts = {}
    for rank, number in db.execute_sql(_COUNT_OPEN, parameters):
        counts[ranks[int(rank)]] = number
    return counts
