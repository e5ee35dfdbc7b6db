"""Claim due deliveries for the worker, before they are sent."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from delivery.alerts.alert import AlertStatus
from delivery.alerts.causes import NO_LONGER_MATCHES
from delivery.alerts.matchers import labels_of, matches
from delivery.alerts.own_alerts import channel_of_key
from delivery.alerts.received import snapshot_of
from delivery.alerts.routing import find_silence
from delivery.kinds import kinds
from delivery.outbox.claimed import ClaimedDelivery, ClaimedMessage
from delivery.outbox.due import (
    MAX_PER_CHANNEL,
    Candidate,
    Wanted,
    combine,
    count_messages,
    expire,
    find_due,
    ids_in_group,
    load,
)
from delivery.outbox.group_messages import (
    fitting,
    message_of_group,
    new_ids,
    store_group_bodies,
    store_group_messages,
)
from delivery.outbox.silences import active_silences, drop, read_matchers
from delivery.outbox.statements import execute, execute_many
from models import db

MAX_WAITING_ALONE = 20  # messages of a channel with a rate limit, before they are combined

_SUPERSEDE = """
    UPDATE delivery SET state = 'superseded', cause = :cause, settled_at = :now WHERE id = :id"""
_CLAIM = """
    UPDATE delivery SET state = 'sending', sender = :sender, attempts = attempts + 1,
        message_id = :message_id,
        snapshot = iif(CAST(:body AS TEXT) IS NULL, :snapshot, snapshot),
        opening = iif(CAST(:body AS TEXT) IS NULL, :opening, opening)
    WHERE id = :id"""
_COMBINES = "SELECT kind FROM channel WHERE id = :channel_id AND separate = 0"
_STORE_BODY = "UPDATE delivery SET body = :body, config_hash = :config_hash WHERE id = :id"


class NewBody(NamedTuple):
    """The body of a message, and the configuration that it was built for.

    `id` is that of a group message, or of a delivery that is sent alone.
    """

    id: int
    body: str
    config_hash: str
    is_group: bool = False


def claim(
    now: int,
    *,
    max_count: int,
    room: Mapping[int, int],
    others: int = MAX_PER_CHANNEL,
    with_suspect: bool = True,
    combines: Collection[int] = (),
    sender: int = 0,
    without_kinds: Collection[str] = (),
) -> list[ClaimedMessage]:
    """Claim due deliveries for a worker, and count an attempt of each; return their messages.

    `sender` is the number of the worker. Of each channel, the most urgent ones come first; of the
    channels, those that waited longest. The other parameters are those of `Wanted`.

    The due deliveries of a group are one message. Of a channel in `combines`, all that are due
    become one message if they would be too many.

    Of an alert and a channel, one delivery at a time is under way: a closing never overtakes its
    opening. Of the deliveries that may have crashed a worker, at most one is claimed (none unless
    `with_suspect`), in a message of its own: if the worker crashes again, that one did it.

    A delivery that has expired fails instead. An opening is dropped if a silence matches its alert,
    and superseded if the matchers of the channel no longer do.
    """
    with db.atomic():
        for channel_id in combines:
            _combine_if_many(channel_id, now)
        messages = []
        ids = new_ids(now)
        wanted = Wanted(now, max_count, room, others, with_suspect, without_kinds)
        for deliveries in _due_messages(wanted):
            if deliveries[0].group_key:
                messages.append(message_of_group(deliveries, ids, now))
            else:
                messages.append(ClaimedMessage.alone(deliveries[0]))
        store_group_messages(messages)
        execute_many(_CLAIM, (row for one in messages for row in _claim_columns(one, sender)))
    return messages


def _combine_if_many(channel_id: int, now: int) -> None:
    """Send the waiting deliveries of a channel in one message if they are too many to be read."""
    if not _may_combine(channel_id):
        return
    max_count = MAX_WAITING_ALONE + 1
    if count_messages(channel_id, now, max_count) == max_count:
        combine(channel_id, f"backlog-{now}", now)


def _may_combine(channel_id: int) -> bool:
    """Return True unless the channel was edited, and keeps messages or incidents separate now."""
    row = execute(_COMBINES, channel_id=channel_id).fetchone()
    kind = kinds().get(row[0]) if row else None
    return kind is not None and not kind.keeps_incidents


def _due_messages(wanted: Wanted) -> list[list[ClaimedDelivery]]:
    """Return the deliveries of each message that may be sent."""
    now = wanted.now
    while True:
        due = find_due(wanted)
        if not due:
            return []
        ids = {candidate: _ids_of(candidate, now) for candidate in due}
        deliveries = load(one for group in ids.values() for one in group)
        if all(delivery.expires_at > now for delivery in deliveries):
            break
        expire(now)
    kept = {delivery.id: delivery for delivery in _without_unwanted(deliveries, now)}
    messages = []
    for group in ids.values():
        messages.append(fitting([kept[one] for one in group if one in kept]))
    return list(filter(None, messages))


def _ids_of(candidate: Candidate, now: int) -> list[int]:
    if candidate.group_key and not candidate.is_suspect:
        return ids_in_group(candidate, now)
    return [candidate.id]


def _without_unwanted(deliveries: list[ClaimedDelivery], now: int) -> list[ClaimedDelivery]:
    """Drop or supersede the openings that may not be sent, and return the other deliveries."""
    silences = active_silences(now)
    wanted = []
    dropped = []
    superseded = []
    for delivery in deliveries:
        if delivery.event == AlertStatus.CLOSED or not (silences or delivery.matchers):
            wanted.append(delivery)
            continue
        labels = labels_of(delivery.alert)
        silence = find_silence(labels, silences)
        if not _still_matches(delivery, labels):
            superseded.append({"id": delivery.id, "cause": NO_LONGER_MATCHES, "now": now})
        elif silence:
            dropped.append((delivery.id, silence))
        else:
            wanted.append(delivery)
    drop(dropped, now)
    execute_many(_SUPERSEDE, superseded)
    return wanted


def _still_matches(delivery: ClaimedDelivery, labels: Mapping[str, str]) -> bool:
    """Return True if the channel wants an alert with these labels; an alert of Tocsin always."""
    if channel_of_key(delivery.alert_key) is not None:
        return True
    return matches(read_matchers(delivery.matchers), labels)


def _claim_columns(message: ClaimedMessage, sender: int) -> list[dict]:
    rows = []
    for delivery in message.deliveries:
        snapshot = snapshot_of(delivery.alert) if message.body is None else None
        columns = {"snapshot": snapshot, "message_id": message.group_id, "sender": sender}
        rows.append({**delivery._asdict(), "body": message.body, **columns})
    return rows


def store_bodies(bodies: Iterable[NewBody]) -> None:
    """Store the bodies of messages that may be sent again."""
    alone: list[dict] = []
    in_groups: list[dict] = []
    for body in bodies:
        (in_groups if body.is_group else alone).append(body._asdict())
    execute_many(_STORE_BODY, alone)
    store_group_bodies(in_groups)
