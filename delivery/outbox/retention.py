"""Delete what is kept no longer, in slices: each one is a transaction of a few milliseconds.

Nothing goes that decides who is notified: deliveries that have not ended, open alerts and the
deliveries that they point to, and, until they are old, closings that did not arrive and may be
sent again.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from clock import DAY
from delivery.alerts.received import STALE_WINDOW
from delivery.outbox.deletion import delete_rest_of_channels
from delivery.outbox.statements import execute, execute_sliced
from models import db

SLICE = 100  # rows
HISTORY_DAYS = 365  # of versions and of the audit log, unless `keep_days` are more
MAX_AUDIT_ENTRIES = 100_000

# Every settled delivery counts from the newest on; those beyond `max_deliveries` go, if they may.
_BEYOND = "SELECT CAST(coalesce(sum(number), 0) AS BIGINT) - :max_deliveries FROM settled_count"
_OLDEST = """
    SELECT d.id, d.alert_id, d.created_at, d.state NOT IN ('pending', 'held', 'sending'),
        d.settled_at < :cutoff, EXISTS (
            SELECT 1 FROM notification n JOIN alert a ON a.id = n.alert_id
            WHERE n.alert_id = d.alert_id AND n.channel_id = d.channel_id
                AND d.id IN (n.delivery_id, n.notified_id)
                AND (a.status = 'open' OR a.changed_at > :stale
                    OR (n.notified_id IS NOT NULL AND a.changed_at > :cutoff)))
    FROM delivery d WHERE d.id > :after ORDER BY d.id LIMIT :slice"""
_DELETE_NOTIFICATIONS = """
    DELETE FROM notification WHERE (alert_id, channel_id, delivery_id) IN (
        SELECT alert_id, channel_id, id FROM delivery
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids)))"""
_DELETE_DELIVERIES = """
    DELETE FROM delivery WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))"""
_DELETE_ALERTS = """
    DELETE FROM alert WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
        AND status = 'closed' AND changed_at <= :stale
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE alert_id = alert.id)"""
# Such as those that no channel matched.
_DELETE_ALERTS_WITHOUT_DELIVERY = """
    DELETE FROM alert WHERE id IN (
        SELECT id FROM alert WHERE status = 'closed' AND changed_at < :cutoff
            AND NOT EXISTS (SELECT 1 FROM delivery WHERE alert_id = alert.id) LIMIT :slice)"""
_DELETE_RECEIPTS = """
    DELETE FROM receipt WHERE key IN (
        SELECT key FROM receipt WHERE at < :day_ago OR at > :in_a_day LIMIT :slice)"""
# The oldest attempts have the lowest ids, those of deliveries that wait for months too.
_DELETE_ATTEMPTS = """
    DELETE FROM attempt WHERE at < :cutoff AND id IN (
        SELECT id FROM attempt ORDER BY id LIMIT :slice)"""
_DELETE_ACTIVITY = """
    DELETE FROM activity WHERE (hour, channel_id) IN (
        SELECT hour, channel_id FROM activity WHERE hour < :two_days_ago LIMIT :slice)"""
_DELETE_DELAYS = """
    DELETE FROM delay_count WHERE (hour, bucket) IN (
        SELECT hour, bucket FROM delay_count WHERE hour < :two_days_ago LIMIT :slice)"""
# The deliveries of a group message are older than it: of the others, none is left.
_DELETE_GROUP_MESSAGES = """
    DELETE FROM group_message WHERE id IN (
        SELECT id FROM group_message m WHERE id < max(:cutoff * 1000000, (
            SELECT coalesce(min(id), 0) FROM delivery))
            AND NOT EXISTS (
                SELECT 1 FROM delivery
                WHERE message_id = m.id AND state IN ('pending', 'held', 'sending'))
        ORDER BY id LIMIT :slice)"""
_DELETE_SILENCES = """
    DELETE FROM silence WHERE id IN (SELECT id FROM silence WHERE until < :cutoff LIMIT :slice)"""
_DELETE_REPLAYS = """
    DELETE FROM replay WHERE created_at < :cutoff AND id IN (
        SELECT id FROM replay ORDER BY id LIMIT :slice)"""
# The version that a channel is at stays, and any that was replaced less than a year ago.
_DELETE_VERSIONS = """
    DELETE FROM channel_version WHERE id IN (
        SELECT old.id FROM channel_version old WHERE old.at < :history_cutoff AND EXISTS (
            SELECT 1 FROM channel_version newer WHERE newer.channel_id = old.channel_id
                AND newer.version > old.version AND newer.at < :history_cutoff)
        LIMIT :slice)"""
_DELETE_AUDIT_ENTRIES = """
    DELETE FROM audit_entry WHERE at < :history_cutoff AND id IN (
        SELECT id FROM audit_entry ORDER BY id LIMIT :slice)"""
_DELETE_MOST_AUDIT_ENTRIES = """
    DELETE FROM audit_entry WHERE id IN (
        SELECT id FROM audit_entry
        WHERE id <= (SELECT max(id) FROM audit_entry) - :max_audit_entries
        ORDER BY id LIMIT :slice)"""
_DROP_BODIES = """
    UPDATE delivery SET body = NULL WHERE id IN (
        SELECT id FROM delivery INDEXED BY delivery_final_body WHERE body IS NOT NULL
            AND state IN ('delivered', 'accepted', 'superseded', 'dropped')
            AND settled_at < :day_ago LIMIT :slice)"""
_DROP_GROUP_BODIES = """
    UPDATE group_message SET body = NULL WHERE id IN (
        SELECT id FROM group_message INDEXED BY group_message_body WHERE body IS NOT NULL
            AND created_at < :two_days_ago LIMIT :slice)"""


class Pruned(NamedTuple):
    """What a slice removed: the plural of its name, and how many."""

    name: str
    number: int


class _Delivery(NamedTuple):
    id: int
    alert_id: int
    created_at: int
    is_settled: bool
    is_old: bool
    is_needed: bool


def prune(now: int, keep_days: int, keep_deliveries: int) -> Iterator[Pruned]:
    """Delete what is older than `keep_days`, and the oldest settled deliveries.

    Yields after each transaction, and ends when everything was looked at.
    """
    times = {
        "cutoff": now - keep_days * DAY,
        "stale": now - STALE_WINDOW,
        "day_ago": now - DAY,
        "two_days_ago": now - 2 * DAY,
        "in_a_day": now + DAY,
        "history_cutoff": now - max(keep_days, HISTORY_DAYS) * DAY,
        "max_audit_entries": MAX_AUDIT_ENTRIES,
        "slice": SLICE,
    }
    yield from _named("channels", delete_rest_of_channels())
    yield from _named("responses", execute_sliced(_DELETE_RECEIPTS, **times))
    yield from _named("attempts", execute_sliced(_DELETE_ATTEMPTS, **times))
    yield from _prune_deliveries(times, keep_deliveries)
    yield from _named("group messages", execute_sliced(_DELETE_GROUP_MESSAGES, **times))
    yield from _named("alerts", execute_sliced(_DELETE_ALERTS_WITHOUT_DELIVERY, **times))
    yield from _named("silences", execute_sliced(_DELETE_SILENCES, **times))
    yield from _named("replays", execute_sliced(_DELETE_REPLAYS, **times))
    for statement in (_DELETE_ACTIVITY, _DELETE_DELAYS):
        yield from _named("hours", execute_sliced(statement, **times))
    yield from _named("versions", execute_sliced(_DELETE_VERSIONS, **times))
    for statement in (_DELETE_AUDIT_ENTRIES, _DELETE_MOST_AUDIT_ENTRIES):
        yield from _named("audit entries", execute_sliced(statement, **times))
    for statement in (_DROP_BODIES, _DROP_GROUP_BODIES):
        yield from _named("bodies", execute_sliced(statement, **times))


def _named(name: str, counts: Iterator[int]) -> Iterator[Pruned]:
    for count in counts:
        yield Pruned(name, count)


def _prune_deliveries(times: dict[str, int], keep_deliveries: int) -> Iterator[Pruned]:
    """Walk from the oldest delivery to the first one that is neither old nor beyond the number."""
    beyond = execute(_BEYOND, max_deliveries=keep_deliveries).fetchone()[0]
    rows: list[_Delivery] = []
    while not rows or beyond > 0 or rows[-1].created_at < times["cutoff"]:
        after = rows[-1].id if rows else 0
        with db.atomic():
            rows = list(map(_Delivery._make, execute(_OLDEST, after=after, **times)))
            if not rows:
                return
            unneeded = _unneeded(rows, beyond)
            alerts = _delete(unneeded, times) if unneeded else 0
        beyond -= sum(row.is_settled for row in rows)
        if unneeded or beyond > 0:
            yield Pruned("deliveries", len(unneeded))
            yield Pruned("alerts", alerts)


def _unneeded(rows: list[_Delivery], beyond: int) -> list[_Delivery]:
    """Return the deliveries that go: of the settled ones, the first `beyond` and the old ones."""
    unneeded = []
    for row in rows:
        beyond -= row.is_settled
        if row.is_settled and not row.is_needed and (row.is_old or beyond >= 0):
            unneeded.append(row)
    return unneeded


def _delete(rows: list[_Delivery], times: dict[str, int]) -> int:
    """Delete deliveries, and return how many closed alerts went with their last one."""
    ids = json.dumps([row.id for row in rows])
    execute(_DELETE_NOTIFICATIONS, ids=ids)
    execute(_DELETE_DELIVERIES, ids=ids)
    alert_ids = json.dumps([row.alert_id for row in rows])
    return execute(_DELETE_ALERTS, ids=alert_ids, stale=times["stale"]).rowcount
