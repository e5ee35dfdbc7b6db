"""Divide the seats of the worker, its attempts at a time, among the channels. Pure.

A slow receiver holds a seat for up to 30 seconds. Therefore the last free seats are kept: some
from channels that are slow, fewer from channels that are new, none from those that were quick.
And the fewer seats are free, the fewer a channel or an origin may hold, so that no number of
channels which become slow at the same time takes all of them.
"""

from collections import Counter
from collections.abc import Mapping, Set
from typing import NamedTuple

from delivery.outbox import MAX_PER_CHANNEL
from delivery.queue.channel_cache import CachedChannel

MAX_SEATS = 128
MIN_FREE_FOR_SLOW = 32
MIN_FREE_FOR_NEW = 16
MAX_BATCH = 256  # messages
_SMALL_BATCH = 8
_SLOW_STEP = 12  # free seats for each seat that a slow channel and its origin hold
_QUICK_STEP = 4


class Room(NamedTuple):
    """How many more deliveries may start, by channel, and of each other channel."""

    by_channel: dict[int, int]
    others: int


def divide(
    held: Counter[int], quick: Set[int], slow: Set[int], channels: Mapping[int, CachedChannel]
) -> Room:
    """Return the room of each channel; `held` counts the seats that are taken, by channel.

    A channel that is neither quick nor slow is new. An origin may hold twice as many seats as are
    free, and a few for its slow channels.
    """
    free = MAX_SEATS - held.total()
    held_at = _by_origin(held, channels)
    slow_at = _by_origin(Counter({one: held[one] for one in slow}), channels)
    room = dict.fromkeys(quick, quick_limit(free))
    for channel_id, count in held.items():
        room[channel_id] = room.get(channel_id, new_limit(free)) - count
    for channel_id in slow:
        origin = _origin(channel_id, channels)
        room[channel_id] = slow_room(free, held[channel_id], slow_at[origin])
    full = {origin for origin, count in held_at.items() if count >= 2 * free}
    room.update(_without_room(full, channels))
    return Room(room, new_limit(free))


def batch_size(free: int) -> int:
    """Return how many messages to claim at a time: many only while most seats are free."""
    return MAX_BATCH if free > MAX_SEATS // 2 else min(free, _SMALL_BATCH)


def _by_origin(held: Counter[int], channels: Mapping[int, CachedChannel]) -> Counter[str]:
    held_at: Counter[str] = Counter()
    for channel_id, count in held.items():
        held_at[_origin(channel_id, channels)] += count
    return held_at


def _without_room(full: Set[str], channels: Mapping[int, CachedChannel]) -> dict[int, int]:
    if not full:
        return {}
    return {number: 0 for number, channel in channels.items() if channel.origin in full}


def quick_limit(free: int) -> int:
    """Return how many seats a channel may hold whose last attempt was quick."""
    return min(MAX_PER_CHANNEL, -(-free // _QUICK_STEP))


def new_limit(free: int) -> int:
    """Return how many seats a channel may hold whose first attempt has not ended."""
    return int(free >= MIN_FREE_FOR_NEW)


def slow_room(free: int, held: int, slow_at_origin: int) -> int:
    """Return how many more seats a slow channel may take.

    Its own seats count twice, so that the other slow channels of its origin come first.
    """
    steps = (free - MIN_FREE_FOR_SLOW) // _SLOW_STEP + 1
    return min(MAX_PER_CHANNEL - held, (steps - held - slow_at_origin + 1) // 2)


def _origin(channel_id: int, channels: Mapping[int, CachedChannel]) -> str:
    channel = channels.get(channel_id)
    return channel.origin if channel else ""
