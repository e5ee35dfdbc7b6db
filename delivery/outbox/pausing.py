"""Pause and resume channels, and decide about the deliveries that wait."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from delivery.alerts.causes import CHANNEL_DROPS
from delivery.outbox.actions import hold, release
from delivery.outbox.due import MAX_IN_GROUP
from delivery.outbox.statements import execute
from models import ChannelState, db

# The time of a pause is no time in which a channel did not get through.
_SET_STATE = """
    UPDATE channel SET state = :state, drops = :drops, updated_at = :now,
        trouble_since = iif(state = 'paused' AND trouble_since IS NOT NULL, :now, trouble_since)
    WHERE id = :channel_id AND deleted_at IS NULL"""
_DROP_OPENINGS = """
    UPDATE delivery SET state = 'dropped', cause = :cause, settled_at = :now
    WHERE channel_id = :channel_id AND state IN ('pending', 'held') AND event = 'open'"""
_DISCARD = """
    UPDATE delivery SET state = 'given_up', cause = :cause, settled_at = :now
    WHERE channel_id = :channel_id AND state = 'held' AND (event = 'closed' OR :with_openings)"""
_COMBINE = """
    UPDATE delivery SET group_key = :group_key WHERE channel_id = :channel_id AND state = 'held'"""
_COUNT_HELD = """
    SELECT c.id,
        (SELECT count(*) FROM delivery WHERE channel_id = c.id AND state = 'held'),
        (SELECT count(*) FROM delivery
            WHERE channel_id = c.id AND state = 'held' AND event = 'closed')
    FROM (SELECT CAST(value AS BIGINT) AS id FROM json_each(:channels)) AS c"""
_HOLDING_CHANNELS = """
    SELECT id FROM channel c WHERE state <> 'delivering' AND EXISTS (
        SELECT 1 FROM delivery WHERE channel_id = c.id AND state = 'held')"""


class WaitingChoice(StrEnum):
    """What becomes of openings while a channel is paused."""

    HOLD = "hold"
    DROP = "drop"


class HeldChoice(StrEnum):
    """Which of the held deliveries are sent when a channel is resumed."""

    ALL = "all"
    OPEN = "open"
    DIGEST = "digest"
    NONE = "none"


class HeldCount(NamedTuple):
    """The number of held deliveries of a channel."""

    total: int
    closings: int

    @property
    def openings(self) -> int:
        """The number of those that report an open alert."""
        return self.total - self.closings

    @property
    def digests(self) -> int:
        """The number of messages of a digest."""
        return -(-self.total // MAX_IN_GROUP)


def pause(channel_id: int, drops: bool, now: int) -> int:
    """Pause a channel, and hold its waiting deliveries; return how many were dropped instead.

    With `drops`, openings are dropped. Closings are held all the same: without them, the receiver
    would show their alerts as open for ever.
    """
    columns = {"channel_id": channel_id, "now": now}
    dropped = 0
    with db.atomic():
        execute(_SET_STATE, **columns, state=ChannelState.PAUSED, drops=int(drops))
        if drops:
            dropped = execute(_DROP_OPENINGS, **columns, cause=CHANNEL_DROPS).rowcount
        hold(channel_id)
    return dropped


def resume(channel_id: int, choice: HeldChoice, user_name: str, now: int) -> int:
    """Let a channel deliver again what `choice` says; return how many deliveries were discarded.

    A digest has one group key, by which the worker sends its deliveries as one message. The cause
    of discarded deliveries names the user.
    """
    columns = {"channel_id": channel_id, "now": now}
    discarded = 0
    with db.atomic():
        execute(_SET_STATE, **columns, state=ChannelState.DELIVERING, drops=0)
        if choice in (HeldChoice.OPEN, HeldChoice.NONE):
            cause = f"Discarded by {user_name} when the channel was resumed."
            with_openings = choice == HeldChoice.NONE
            discarded = execute(
                _DISCARD, **columns, cause=cause, with_openings=with_openings
            ).rowcount
        elif choice == HeldChoice.DIGEST:
            execute(_COMBINE, channel_id=channel_id, group_key=f"digest-{now}")
        release(channel_id, now)
    return discarded


def count_held(channel_id: int) -> HeldCount:
    """Return the number of held deliveries of a channel."""
    return count_held_of_each([channel_id])[channel_id]


def count_held_of_each(channel_ids: Sequence[int]) -> dict[int, HeldCount]:
    """Return the number of held deliveries of each channel, by its id."""
    rows = execute(_COUNT_HELD, channels=json.dumps(channel_ids))
    return {channel_id: HeldCount(total, closings) for channel_id, total, closings in rows}


def channels_holding() -> set[int]:
    """Return the ids of the channels that hold deliveries."""
    return {channel_id for (channel_id,) in execute(_HOLDING_CHANNELS)}
