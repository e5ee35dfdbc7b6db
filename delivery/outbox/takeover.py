"""Take over the deliveries that an earlier worker had under way when it ended."""

import json
from collections.abc import Collection

from delivery.outbox.catch_up import catch_up, withdraw_closings
from delivery.outbox.statements import execute
from models import db

MAX_CRASHES = 3

_CRASH_SUSPECT = """
    SELECT 1 FROM delivery WHERE claims > 0 AND state IN ('pending', 'held', 'sending') LIMIT 1"""
# Every delivery of a group message is a suspect, and is then sent in a message of its own.
_COUNT_CRASH = """
    UPDATE delivery SET claims = claims + 1
    WHERE state = 'sending' AND sender = :sender AND (:crashed_on IN (id, message_id)
        OR (:crashed AND :crashed_on = 0))"""
_PARK = """
    UPDATE delivery SET state = 'parked', cause = :cause, settled_at = :now
    WHERE state = 'sending' AND sender = :sender AND claims >= :max_crashes"""
# An earlier version stored the body of every message before it was sent.
_NOTE_OPENING = """
    UPDATE notification SET notified_id = d.id
    FROM delivery d LEFT JOIN group_message m ON m.id = d.message_id
    WHERE d.state = 'sending' AND d.sender = :sender AND d.event = 'open'
        AND :crashed_on NOT IN (d.id, coalesce(m.id, -1))
        AND (:all_sent = 1 OR coalesce(d.body, m.body) IS NOT NULL OR coalesce(m.id, d.id) IN (
            SELECT CAST(value AS BIGINT) FROM json_each(:sent)))
        AND notification.alert_id = d.alert_id AND notification.channel_id = d.channel_id
        AND notification.notified_id IS NULL"""
_UNDER_WAY = "SELECT id FROM delivery WHERE state = 'sending' AND sender = :sender"
_SENDERS = "SELECT DISTINCT sender FROM delivery WHERE state = 'sending'"
_TAKE_OVER = """
    UPDATE delivery SET due_at = min(due_at, :now), state = iif(
        (SELECT state FROM channel WHERE id = channel_id) = 'delivering', 'pending', 'held')
    WHERE state = 'sending' AND sender = :sender"""


def take_over(
    now: int,
    crashed_on: int = 0,
    crashed: bool = False,
    sent: Collection[int] | None = (),
    sender: int = 0,
) -> int:
    """Make the deliveries that a worker left behind pending again; return how many.

    `sender` is the number of that worker, which has ended.

    `crashed_on` is the id of the message that the worker was building when it ended. If it crashed
    otherwise, every delivery under way is a suspect. A delivery is parked after three crashes. Only
    the messages `sent` may have arrived; None if it is not known which ones left.
    """
    cause = f"It crashed the worker {MAX_CRASHES} times: parked, so that others are sent."
    with db.atomic():
        under_way = [delivery_id for (delivery_id,) in execute(_UNDER_WAY, sender=sender)]
        left = {"all_sent": int(sent is None), "sent": json.dumps(list(sent or ()))}
        execute(_NOTE_OPENING, sender=sender, crashed_on=crashed_on, **left)
        execute(_COUNT_CRASH, sender=sender, crashed_on=crashed_on, crashed=crashed)
        execute(_PARK, sender=sender, max_crashes=MAX_CRASHES, cause=cause, now=now)
        taken_over = execute(_TAKE_OVER, sender=sender, now=now).rowcount
        catch_up(under_way, now)
        withdraw_closings(under_way, now)
    return taken_over


def senders_under_way() -> set[int]:
    """Return the numbers of the workers that have deliveries under way, or have left some."""
    return {number for (number,) in execute(_SENDERS)}


def has_crash_suspects() -> bool:
    """Return True if a waiting delivery may have crashed a worker; reads all of them."""
    return execute(_CRASH_SUSPECT).fetchone() is not None
