"""Pause, resume and delete several channels, each in a transaction of its own.

Other writers get their turn between two channels. A channel that cannot be changed does not keep
the others from it; a failure of the database ends the run, and the report says how far it came.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from peewee import PeeweeException

from clock import now_ms
from delivery import outbox
from delivery.kinds import keeps_incidents
from delivery.outbox import HeldChoice, HeldCount, WaitingChoice
from models import AuditAction, Channel, ChannelState
from web import audit
from web.channels.listing import Entry
from web.channels.pausing import refuse_digest


class Refusal(Exception):
    """A channel cannot be changed in this way; the message is for the user."""


class Failure(NamedTuple):
    """A channel that was not changed, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """What became of the selected channels, in numbers.

    `messages` were dropped or discarded. `not_tried` are those after a failure of the database.
    """

    changed: int = 0
    unchanged: int = 0
    messages: int = 0
    not_tried: int = 0
    failures: list[Failure] = field(default_factory=list)


class HeldSum(NamedTuple):
    """What the selected channels hold, and what of it digests can have.

    `without_digest` is the number of channels whose receivers keep incidents.
    """

    held: HeldCount
    in_digests: int
    digests: int
    without_digest: int


# Returns the number of messages dropped or discarded; None if there was nothing to change.
Action = Callable[[Channel], int | None]


def pausing(choice: WaitingChoice) -> Action:
    """Return the action that pauses a channel."""
    drops = choice == WaitingChoice.DROP

    def pause(channel: Channel) -> int | None:
        if channel.state == ChannelState.PAUSED and bool(channel.drops) == drops:
            return None
        dropped = outbox.pause(channel.id, drops, now_ms())
        audit.record(AuditAction.CHANNEL_PAUSED, f"{audit.named(channel)}: {choice}")
        return dropped

    return pause


def resuming(choice: HeldChoice, user_name: str) -> Action:
    """Return the action that resumes a channel."""

    def resume(channel: Channel) -> int | None:
        if channel.state == ChannelState.DELIVERING:
            return None
        has_no_digest = choice == HeldChoice.DIGEST and keeps_incidents(channel.kind)
        if has_no_digest and outbox.count_held(channel.id).total:
            raise Refusal(refuse_digest(channel.kind))
        discarded = outbox.resume(channel.id, choice, user_name, now_ms())
        audit.record(AuditAction.CHANNEL_RESUMED, f"{audit.named(channel)}: {choice}")
        return discarded

    return resume


def delete(channel: Channel) -> int | None:
    """Delete a channel; its deliveries go later."""
    if channel.provisioned:
        raise Refusal(f"It is provisioned by {channel.provisioned}: delete it there.")
    if not outbox.mark_deleted(channel.id, now_ms()):
        return None
    audit.record(AuditAction.CHANNEL_DELETED, audit.named(channel))
    return 0


def run(channel_ids: Sequence[int], action: Action, describe: Callable[[Exception], str]) -> Report:
    """Carry out an action for each channel; `describe` puts a failure of the database in words."""
    report = Report()
    for number, channel_id in enumerate(channel_ids, 1):
        name = f"The channel with the number {channel_id}"
        try:
            channel = Channel.find(channel_id)
            if channel is None:
                raise Refusal("It was deleted in the meantime.")
            name = channel.name
            messages = action(channel)
        except Refusal as refusal:
            report.failures.append(Failure(name, str(refusal)))
        except PeeweeException as error:
            report.failures.append(Failure(name, describe(error)))
            report.not_tried = len(channel_ids) - number
            break
        else:
            report.changed += messages is not None
            report.unchanged += messages is None
            report.messages += messages or 0
    return report


def delete_rows() -> None:
    """Delete rows of deleted channels now; the worker deletes the rest, also after a failure."""
    with contextlib.suppress(PeeweeException):
        outbox.delete_part_of_rest()


def sum_of_held(channels: Iterable[Entry]) -> HeldSum:
    """Return what the channels that do not deliver hold."""
    stopped = {one.id: one for one in channels if one.state != ChannelState.DELIVERING}
    held = HeldCount(0, 0)
    in_digests = 0
    digests = 0
    without_digest = 0
    for channel_id, count in outbox.count_held_of_each(list(stopped)).items():
        held = HeldCount(held.total + count.total, held.closings + count.closings)
        if not keeps_incidents(stopped[channel_id].kind):
            in_digests += count.total
            digests += count.digests
        elif count.total:
            without_digest += 1
    return HeldSum(held, in_digests, digests, without_digest)
