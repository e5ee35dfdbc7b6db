"""Group messages: what is in one, and which id it has.

A message that is repeated unchanged keeps its id, so that receivers recognize it. One with other
alerts, or of another group, has a new id: a receiver that has seen the earlier one would ignore it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import count

from delivery.outbox.claimed import ClaimedDelivery, ClaimedMessage, KnownAlert
from delivery.outbox.statements import execute, execute_many

MAX_KNOWN = 500
MAX_BYTES = 1_000_000  # of the stored alerts in one message

_NEXT_ID = """
    SELECT max(:now * 1000000, (SELECT coalesce(max(id), 0) + 1 FROM delivery),
        (SELECT coalesce(max(id), 0) + 1 FROM group_message))"""
OPEN_AND_KNOWN = """
    n.channel_id = :channel_id AND n.group_key = :group_key AND n.group_key <> ''
        AND n.notified_id IS NOT NULL AND a.status = 'open'
        AND a.id NOT IN (SELECT CAST(value AS BIGINT) FROM json_each(:alert_ids))"""


def _complete(statement: str) -> str:
    """Return a statement with the condition `$open_and_known` written out."""
    return statement.replace("$open_and_known", OPEN_AND_KNOWN)


_KNOWN = _complete("""
    SELECT a.id, a.body, d.snapshot, d.opening
    FROM notification n JOIN alert a ON a.id = n.alert_id JOIN delivery d ON d.id = n.notified_id
    WHERE $open_and_known ORDER BY a.id LIMIT :max_known""")
_COUNT_KNOWN = _complete("""
    SELECT count(*) FROM notification n JOIN alert a ON a.id = n.alert_id
    WHERE $open_and_known""")
_EARLIER = """
    SELECT attempts + 1, created_at, iif(config_hash = :config_hash, body, NULL)
    FROM group_message WHERE id = :id AND content = :content"""
_STORE = """
    INSERT INTO group_message (id, channel_id, content, attempts, config_hash, created_at)
    VALUES (:id, :channel_id, :content, 1, '', :created_at)
    ON CONFLICT (id) DO UPDATE SET attempts = group_message.attempts + 1"""
_RELEASE = "UPDATE group_message SET attempts = attempts - 1 WHERE id = :id"
_STORE_BODY = "UPDATE group_message SET body = :body, config_hash = :config_hash WHERE id = :id"


def new_ids(now: int) -> Iterator[int]:
    """Yield numbers that no message has had in its `webhook-id`."""
    yield from count(execute(_NEXT_ID, now=now).fetchone()[0])


def message_of_group(
    deliveries: Sequence[ClaimedDelivery], ids: Iterator[int], now: int
) -> ClaimedMessage:
    """Return the message of deliveries of one group, with its other alerts that are open."""
    first = deliveries[0]
    group_key = first.group_key.partition("/")[0]  # a part of a group has a path behind its key
    number, known = _known_alerts(deliveries, group_key)
    ids_in_message = sorted(one.id for one in deliveries)
    parts = [group_key, ids_in_message, sorted(one.alert_id for one in known)]
    content = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    message_ids = {delivery.message_id for delivery in deliveries}
    earlier_id = first.message_id if len(message_ids) == 1 else None
    earlier = execute(
        _EARLIER, id=earlier_id, content=content, config_hash=first.config_hash
    ).fetchone()
    attempt, created_at, body = earlier or (1, now, None)
    return ClaimedMessage(
        id=earlier_id if earlier and earlier_id else next(ids),
        attempt=attempt,
        created_at=created_at,
        deliveries=tuple(deliveries),
        group_key=group_key,
        known=known,
        unlisted=number - len(known),
        body=body,
        content=content,
    )


def _known_alerts(
    deliveries: Sequence[ClaimedDelivery], group_key: str
) -> tuple[int, tuple[KnownAlert, ...]]:
    """Return how many there are, and the first ones that have room beside the deliveries."""
    parameters = {
        "channel_id": deliveries[0].channel_id,
        "group_key": group_key,
        "alert_ids": json.dumps([delivery.alert_id for delivery in deliveries]),
    }
    rows = execute(_KNOWN, **parameters, max_known=MAX_KNOWN).fetchall()
    number = len(rows)
    if number == MAX_KNOWN:
        number = execute(_COUNT_KNOWN, **parameters).fetchone()[0]
    room = MAX_BYTES - sum(len(delivery.alert_body) for delivery in deliveries)
    known = []
    for alert in map(KnownAlert._make, rows):
        room -= len(alert.alert_body)
        if room < 0:
            break
        known.append(alert)
    return number, tuple(known)


def fitting(deliveries: Sequence[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Return the first deliveries, at least one, that are not too large for one message."""
    size = 0
    first: list[ClaimedDelivery] = []
    for delivery in deliveries:
        size += len(delivery.alert_body)
        if size > MAX_BYTES and first:
            break
        first.append(delivery)
    return first


def store_group_messages(messages: Sequence[ClaimedMessage]) -> None:
    """Store the group messages among these, and count an attempt of each."""
    execute_many(_STORE, map(_columns, filter(_is_group, messages)))


def release_group_messages(messages: Sequence[ClaimedMessage]) -> None:
    """Take back the attempt of group messages that were not sent."""
    execute_many(_RELEASE, map(_columns, filter(_is_group, messages)))


def store_group_bodies(bodies: Sequence[dict]) -> None:
    """Store the bodies of group messages: mappings with `id`, `body` and `config_hash`."""
    execute_many(_STORE_BODY, bodies)


def _is_group(message: ClaimedMessage) -> bool:
    return bool(message.group_key)


def _columns(message: ClaimedMessage) -> dict:
    return {
        "id": message.id,
        "channel_id": message.channel_id,
        "content": message.content,
        "created_at": message.created_at,
    }
