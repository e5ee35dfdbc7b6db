"""Find the deliveries that are due, in the order in which they are sent."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from operator import attrgetter
from typing import NamedTuple

from delivery.alerts.causes import EXPIRED
from delivery.content.severity import Severity
from delivery.outbox.claimed import ClaimedDelivery
from delivery.outbox.statements import execute

MAX_PER_CHANNEL = 4
MAX_IN_GROUP = 1000

# Of an alert and a channel, one delivery at a time is under way, and of a group one message.
UNBLOCKED = """
    NOT EXISTS (
        SELECT 1 FROM delivery o WHERE o.alert_id = p.alert_id
            AND o.channel_id = p.channel_id AND o.state IN ('pending', 'sending')
            AND (o.state = 'sending' OR o.id < p.id))
    AND (p.group_key = '' OR NOT EXISTS (
        SELECT 1 FROM delivery g WHERE g.channel_id = p.channel_id AND g.group_key = p.group_key
            AND g.group_key <> '' AND g.state IN ('pending', 'sending') AND g.state = 'sending'))"""


def _complete(statement: str) -> str:
    """Return a statement with the condition `$unblocked` written out."""
    return statement.replace("$unblocked", UNBLOCKED)


_FIRST_DUE = """
    SELECT min((SELECT min(due_at) FROM delivery WHERE channel_id = c.id AND state = 'pending'))
    FROM channel c WHERE c.deleted_at IS NULL
        AND c.kind NOT IN (SELECT value FROM json_each(:without_kinds))"""
# First the channel that has waited longest.
_WAITING_CHANNELS = """
    SELECT id FROM (
        SELECT id, (
            SELECT min(due_at) FROM delivery WHERE channel_id = c.id AND state = 'pending') AS since
        FROM channel c
        WHERE deleted_at IS NULL AND kind NOT IN (SELECT value FROM json_each(:without_kinds))
        ) AS waiting
    WHERE since <= :now ORDER BY since, id"""
# CROSS JOIN keeps SQLite from another order than channels first, with their own due deliveries of
# each urgency. PostgreSQL does not use the index for one urgency, but for the order; it would sort
# by id all that are due at the same time.
_CANDIDATES = _complete("""
    SELECT d.id, d.channel_id, d.urgency, d.due_at, d.group_key, d.claims > 0
    FROM json_each(:channels) c
    /*sqlite*/ CROSS JOIN json_each(:urgencies) u CROSS JOIN delivery d ON d.id IN /*end*/
    /*postgresql CROSS JOIN LATERAL */ (
        SELECT id FROM delivery p
        WHERE p.channel_id = CAST(c.value AS BIGINT) /*sqlite*/ AND p.urgency = u.value /*end*/
            AND p.state = 'pending' AND p.due_at <= :now AND (p.claims > 0) = :is_suspect
            AND $unblocked
        ORDER BY /*postgresql p.urgency, */ p.due_at /*sqlite*/ , p.id /*end*/
        LIMIT :max_per_channel)
    /*postgresql picked JOIN delivery d ON d.id = picked.id */""")
# Openings first: an incident is not resolved while one of its alerts waits.
_IN_GROUP = _complete("""
    SELECT p.id FROM delivery p
    WHERE p.channel_id = :channel_id AND p.group_key = :group_key AND p.group_key <> ''
        AND p.state IN ('pending', 'sending') AND p.state = 'pending' AND p.due_at <= :now
        AND p.claims = 0 AND $unblocked
    ORDER BY p.event = 'closed', p.urgency, p.due_at, p.id LIMIT :max_count""")
_LOAD = """
    SELECT d.id, d.channel_id, d.attempts + 1, d.repeated, d.created_at, d.expires_at,
        iif(d.config_hash = c.config_hash, d.body, NULL), c.config_hash, d.claims, d.retries,
        d.not_found, d.event, a.id, a.body, notified.snapshot, c.matchers,
        iif(notified.id IS NULL, coalesce(d.opening, a.changed_at), notified.opening),
        d.group_key, d.message_id, d.flapping, a.key
    FROM delivery d JOIN channel c ON c.id = d.channel_id JOIN alert a ON a.id = d.alert_id
    LEFT JOIN notification n ON n.alert_id = d.alert_id AND n.channel_id = d.channel_id
    LEFT JOIN delivery notified ON notified.id = n.notified_id
    WHERE d.id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))
    ORDER BY d.urgency, d.due_at, d.id"""
_EXPIRE = """
    UPDATE delivery INDEXED BY delivery_pending
    SET state = 'failed', cause = :cause, settled_at = :now
    WHERE state = 'pending' AND due_at <= :now AND expires_at <= :now
        AND channel_id IN (SELECT id FROM channel)"""
# A message is a group or a delivery alone; counting ends at the first one too many.
_COUNT_MESSAGES = """
    SELECT count(*) FROM (
        SELECT DISTINCT iif(group_key = '', CAST(id AS TEXT), group_key) FROM delivery
        WHERE channel_id = :channel_id AND state = 'pending' AND due_at <= :now
        LIMIT :max_count) AS part"""
_COMBINE = _complete("""
    UPDATE delivery SET group_key = :group_key WHERE id IN (
        SELECT id FROM delivery p
        WHERE p.channel_id = :channel_id AND p.state = 'pending' AND p.due_at <= :now
            AND p.claims = 0 AND $unblocked
        ORDER BY p.urgency, p.due_at, p.id LIMIT :max_in_group)""")


class Candidate(NamedTuple):
    """A delivery that may be sent now."""

    id: int
    channel_id: int
    urgency: int
    due_at: int
    group_key: str
    is_suspect: bool


class Wanted(NamedTuple):
    """Which deliveries a worker takes now.

    They are at most `max_count`, of each channel as many as it has `room` for, and `others` for one
    that is not in it. `with_suspect` is True if one of them may have crashed a worker. Channels of
    some kinds are left to another worker.
    """

    now: int
    max_count: int
    room: Mapping[int, int]
    others: int = MAX_PER_CHANNEL
    with_suspect: bool = True
    without_kinds: Collection[str] = ()

    def room_of(self, channel_id: int) -> int:
        """Return how many deliveries of a channel may be taken."""
        return self.room.get(channel_id, self.others)


def next_due(now: int, without_kinds: Collection[str] = ()) -> int | None:
    """Return the milliseconds until a pending delivery is due; None without any.

    Channels of some kinds do not count.
    """
    due_at = _first_due(without_kinds)
    return None if due_at is None else max(0, due_at - now)


def oldest_due_age(now: int) -> int:
    """Return for how many milliseconds the oldest pending delivery has been due; 0 if none is."""
    due_at = _first_due()
    return 0 if due_at is None else max(0, now - due_at)


def _first_due(without_kinds: Collection[str] = ()) -> int | None:
    return execute(_FIRST_DUE, without_kinds=json.dumps(list(without_kinds))).fetchone()[0]


def find_due(wanted: Wanted) -> list[Candidate]:
    """Return one delivery for each message that may be sent now, first the first of each channel.

    Of each channel, they are the most urgent ones. Of the deliveries that may have crashed a
    worker, it is at most one.
    """
    kinds = json.dumps(list(wanted.without_kinds))
    waiting = execute(_WAITING_CHANNELS, now=wanted.now, without_kinds=kinds)
    channels = [channel_id for (channel_id,) in waiting if wanted.room_of(channel_id) > 0]
    places: dict[Candidate, int] = {}
    # Where deliveries of the first channels may not be sent yet, those of the next ones may.
    for start in range(0, len(channels), wanted.max_count):
        places.update(_first_of(channels[start : start + wanted.max_count], wanted))
        if len(places) >= wanted.max_count:
            break
    if wanted.with_suspect:
        suspects = _candidates(channels, MAX_PER_CHANNEL, wanted.now, is_suspect=True)
        places.update((one, 0) for one in _first_suspect(suspects, list(places)))
    # The first one of every channel, then the second one of every channel, and so on.
    due = sorted(places, key=lambda one: (places[one], one.due_at, one.id))
    return due[: wanted.max_count]


def _first_of(channels: list[int], wanted: Wanted) -> Iterator[tuple[Candidate, int]]:
    """Yield the first deliveries of channels that may be sent, each with its place in its channel.

    They are many of a channel with much room, and few of the others.
    """
    spacious = {one for one in channels if wanted.room_of(one) > MAX_PER_CHANNEL}
    candidates = _candidates(
        spacious, 1 + wanted.max_count // len(channels), wanted.now
    ) + _candidates(set(channels) - spacious, MAX_PER_CHANNEL, wanted.now)
    by_channel = defaultdict(list)
    for candidate in candidates:
        by_channel[candidate.channel_id].append(candidate)
    for channel_id, found in by_channel.items():
        found.sort(key=attrgetter("urgency", "due_at", "id"))
        yield from zip(_first_of_groups(found)[: wanted.room_of(channel_id)], count(), strict=False)


def _candidates(
    channels: Collection[int], max_per_channel: int, now: int, *, is_suspect: bool = False
) -> list[Candidate]:
    """Return the first due deliveries of each severity and channel."""
    if not channels:
        return []
    rows = execute(
        _CANDIDATES,
        channels=json.dumps(list(channels)),
        urgencies=json.dumps(list(range(len(Severity)))),
        max_per_channel=max_per_channel,
        now=now,
        is_suspect=is_suspect,
    )
    return list(map(Candidate._make, rows))


def _first_of_groups(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the deliveries that are sent alone, and the first one of each group."""
    messages: dict[int | str, Candidate] = {}
    for candidate in candidates:
        messages.setdefault(candidate.group_key or candidate.id, candidate)
    return list(messages.values())


def _first_suspect(suspects: Iterable[Candidate], due: list[Candidate]) -> list[Candidate]:
    """Return the oldest suspect whose group has no other message now."""
    groups = {(one.channel_id, one.group_key) for one in due if one.group_key}
    free = [one for one in suspects if (one.channel_id, one.group_key) not in groups]
    return sorted(free, key=attrgetter("due_at", "id"))[:1]


def load(ids: Iterable[int]) -> list[ClaimedDelivery]:
    """Return deliveries with all that their messages need, the most urgent first."""
    rows = execute(_LOAD, ids=json.dumps(list(ids)))
    return list(map(ClaimedDelivery._make, rows))


def ids_in_group(candidate: Candidate, now: int) -> list[int]:
    """Return the ids of the due deliveries that are sent in one message with this one."""
    rows = execute(
        _IN_GROUP,
        channel_id=candidate.channel_id,
        group_key=candidate.group_key,
        now=now,
        max_count=MAX_IN_GROUP,
    )
    return [delivery_id for (delivery_id,) in rows]


def count_messages(channel_id: int, now: int, max_count: int) -> int:
    """Return how many messages of a channel are due, at most `max_count`."""
    parameters = {"channel_id": channel_id, "now": now, "max_count": max_count}
    return execute(_COUNT_MESSAGES, **parameters).fetchone()[0]


def combine(channel_id: int, group_key: str, now: int) -> None:
    """Give the due deliveries of a channel the same group, so that one message has them all."""
    execute(
        _COMBINE, channel_id=channel_id, group_key=group_key, now=now, max_in_group=MAX_IN_GROUP
    )


def expire(now: int) -> None:
    """Fail every due delivery that has expired."""
    execute(_EXPIRE, cause=EXPIRED, now=now)
