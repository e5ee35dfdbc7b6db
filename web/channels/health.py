"""The health of channels in sentences, for the list, the editor and the banner of every page."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from peewee import PeeweeException

from clock import SECOND, now_ms
from delivery.health import IN_TROUBLE, Health, health_of
from models import Channel, ChannelState, db
from web.filters import ago, moment, until

MAX_TROUBLE_LENGTH = 400

_NEXT_ATTEMPTS = """
    SELECT c.id,
        (SELECT min(due_at) FROM delivery WHERE channel_id = c.id AND state = 'pending'),
        EXISTS (SELECT 1 FROM delivery WHERE channel_id = c.id AND state = 'sending'),
        (SELECT drill_at FROM channel WHERE id = c.id AND drill_days > 0)
    FROM (SELECT CAST(value AS BIGINT) AS id FROM json_each(:channels)) AS c"""
# Of a configuration that never got through, the version that it began with. The one that the first
# of the failed attempts was made with may only have renamed the channel.
_SUSPECTS = """
    SELECT c.id, began.version, began.event, began.made_by, began.at
    FROM channel c
    JOIN channel_version failed ON failed.channel_id = c.id AND failed.version = c.trouble_version
    JOIN channel_version began ON began.channel_id = c.id AND began.version = (
        SELECT min(version) FROM channel_version WHERE channel_id = c.id AND version > coalesce((
            SELECT max(version) FROM channel_version WHERE channel_id = c.id
                AND version < failed.version AND config_hash <> failed.config_hash), 0))
    WHERE c.id IN (SELECT CAST(value AS BIGINT) FROM json_each(:channels))
        AND began.made_by <> '' AND c.proof_hash <> failed.config_hash
        AND NOT EXISTS (
            SELECT 1 FROM attempt WHERE config_hash = failed.config_hash
                AND verdict IN ('delivered', 'accepted'))"""
# Exactly the channels whose health is in `IN_TROUBLE`.
_IN_TROUBLE = """
    SELECT id, name, state, trouble_since, failures FROM channel
    WHERE (state = 'failing' OR (state = 'delivering' AND trouble_since IS NOT NULL))
        AND deleted_at IS NULL"""


class ChannelHealth(NamedTuple):
    """The health of a channel, and a sentence about its trouble; empty without any."""

    health: Health
    text: str


class Banner(NamedTuple):
    """The channels that are not getting through: their number, and the only one of them, if so.

    `is_failing` says that one of them is failing.
    """

    number: int
    only: Channel | None
    is_failing: bool


def describe_health(channels: Sequence[Channel], now: int) -> dict[int, ChannelHealth]:
    """Return the health of channels by their ids, with two queries for all of them."""
    troubled = [channel.id for channel in channels if channel.trouble_since is not None]
    texts = {}
    suspects = {}
    if troubled:
        parameters = {"channels": json.dumps(troubled)}
        rows = db.execute_sql(_NEXT_ATTEMPTS, parameters)
        texts = {row[0]: _describe_next(row[1], bool(row[2]), row[3], now) for row in rows}
        rows = db.execute_sql(_SUSPECTS, parameters)
        suspects = {row[0]: _describe_version(*row[1:]) for row in rows}
    described = {}
    for channel in channels:
        health = health_of(channel, now)
        described[channel.id] = ChannelHealth(health, "")
        if health in IN_TROUBLE and channel.trouble_since is not None:
            suspect = suspects.get(channel.id, "")
            text = _describe_trouble(channel, health, suspect, texts[channel.id], now)
            described[channel.id] = ChannelHealth(health, text)
    return described


def _describe_version(version: int, event: str, made_by: str, at: int) -> str:
    return f"version {version}, {event} by {made_by}, {moment(at)}"


def _describe_trouble(
    channel: Channel, health: Health, suspect: str, next_attempt: str, now: int
) -> str:
    """Return since when a channel is in trouble, why, and the sentence of its next attempt.

    The `suspect` is the version since which nothing got through; empty if an earlier one did.
    """
    began = channel.trouble_since or now
    since = f"since {moment(began)} ({ago(began, now)})"
    if suspect:
        since = f"since {suspect}; the first attempt failed {moment(began)} ({ago(began, now)})"
    reason = channel.trouble
    if len(reason) > MAX_TROUBLE_LENGTH:
        reason = f"{reason[:MAX_TROUBLE_LENGTH]}…"
    if channel.state == ChannelState.FAILING:
        return f"Not getting through {since}."
    if health == Health.FAILING:
        return (
            f"Not getting through {since}, and {channel.failures} deliveries have failed for good: "
            f"{reason} {next_attempt}"
        )
    return f"Not getting through {since}: {reason} {next_attempt}"


def _describe_next(due_at: int | None, is_sending: bool, drill_at: int | None, now: int) -> str:
    if is_sending:
        return "An attempt is being made now."
    if due_at is None and drill_at is not None:
        drill = until(max(drill_at, now + SECOND), now)
        return f"The next attempt is the next alert, or a fire drill {drill}."
    if due_at is None:
        return "No attempt is planned: the next alert is the next attempt."
    if due_at <= now:
        return "The next attempt is due now."
    return f"Next attempt {until(due_at, now)}."


def health_banner() -> Banner | None:
    """Return the channels that are not getting through, or None if all are."""
    now = now_ms()
    try:
        channels = list(Channel.raw(_IN_TROUBLE))
    except PeeweeException:  # the page already says so
        return None
    if not channels:
        return None
    only = channels[0] if len(channels) == 1 else None
    is_failing = any(health_of(channel, now) == Health.FAILING for channel in channels)
    return Banner(len(channels), only, is_failing)
