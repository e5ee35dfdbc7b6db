"""Delete a channel with all that belongs to it.

The channel counts as deleted at once. Its deliveries and attempts, of which there may be many, go
in short transactions, and the worker deletes what a request, or a crash, has left.
"""

from collections.abc import Iterator
from itertools import islice

from delivery.outbox.statements import execute, execute_sliced
from models import db

SLICE = 100  # rows
SCANNED = 2000  # notifications, which no index finds by their channel
MAX_SLICES_AT_ONCE = 50

# Its secrets go, nothing is sent for it, no open form can save it, and its name is free: a name of
# a user has no line end.
_MARK = """
    UPDATE channel SET deleted_at = :now, state = 'paused', name = :line_end || id,
        version = version + 1, origin = '', settings = '{}', sealed = '', config_hash = '',
        fallback_id = NULL
    WHERE id = :id AND deleted_at IS NULL"""
_FORGET_FALLBACK = "UPDATE channel SET fallback_id = NULL WHERE fallback_id = :id"
_MARKED = "SELECT id FROM channel WHERE deleted_at IS NOT NULL"
_DELETE_DELIVERIES = """
    DELETE FROM delivery WHERE id IN (
        SELECT id FROM delivery WHERE channel_id = :id LIMIT :slice)"""
_DELETE_ATTEMPTS = """
    DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE channel_id = :id LIMIT :slice)"""
_DELETE_GROUP_MESSAGES = """
    DELETE FROM group_message WHERE id IN (
        SELECT id FROM group_message WHERE channel_id = :id LIMIT :slice)"""
_END_OF_RANGE = """
    SELECT max(alert_id) FROM (
        SELECT alert_id FROM notification WHERE alert_id > :after
        ORDER BY alert_id LIMIT :scanned) AS part"""
_DELETE_NOTIFICATIONS = """
    DELETE FROM notification WHERE alert_id > :after AND alert_id <= :end AND channel_id = :id"""
_DELETE_VERSIONS = "DELETE FROM channel_version WHERE channel_id = :id"
_DELETE_CHANNEL = "DELETE FROM channel WHERE id = :id"


def delete_channel(channel_id: int, now: int) -> None:
    """Delete a channel; of a large log, the worker deletes the rest."""
    mark_deleted(channel_id, now)
    delete_part_of_rest()


def mark_deleted(channel_id: int, now: int) -> bool:
    """Have a channel count as deleted; return False if it does already, or does not exist.

    Its rows are deleted later: by `delete_part_of_rest`, or by the worker.
    """
    with db.atomic():
        is_marked = execute(_MARK, id=channel_id, now=now, line_end="\n").rowcount == 1
        execute(_FORGET_FALLBACK, id=channel_id)
        execute(_DELETE_VERSIONS, id=channel_id)  # they have its secrets, too
    return is_marked


def delete_part_of_rest() -> None:
    """Delete rows of deleted channels, no more than a request has time for."""
    for _ in islice(delete_rest_of_channels(), MAX_SLICES_AT_ONCE):
        pass


def delete_rest_of_channels() -> Iterator[int]:
    """Delete the rows of deleted channels; yield after each transaction how many channels went."""
    for (channel_id,) in execute(_MARKED).fetchall():
        for statement in (_DELETE_DELIVERIES, _DELETE_ATTEMPTS, _DELETE_GROUP_MESSAGES):
            for _ in execute_sliced(statement, id=channel_id, slice=SLICE):
                yield 0
        yield from _delete_notifications(channel_id)
        yield execute(_DELETE_CHANNEL, id=channel_id).rowcount


def _delete_notifications(channel_id: int) -> Iterator[int]:
    after = 0
    while True:
        with db.atomic():
            end = execute(_END_OF_RANGE, after=after, scanned=SCANNED).fetchone()[0]
            if end is None:
                return
            execute(_DELETE_NOTIFICATIONS, after=after, end=end, id=channel_id)
        yield 0
        after = end
