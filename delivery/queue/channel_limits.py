"""Limit how many deliveries of a channel are in flight, and how fast they follow."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from delivery.kinds import kinds
from delivery.outcome import Outcome, Reason
from delivery.queue.channel_cache import CachedChannel, ChannelCache
from delivery.queue.seats import Room, divide
from delivery.rate_limit import RateLimiter
from delivery.sender import Clock

MAX_QUICK_SECONDS = 1.0  # an attempt that takes longer makes its channel slow
MAX_RUN_SECONDS = 0.05  # a channel whose last attempt was quicker gets a seat for many messages
# As many as it accepts in that time: an urgent message waits no longer for them.
RUN_AHEAD = 0.25  # seconds
MAX_RUN = 256  # messages
# A quicker channel has one seat for many messages: more threads would send no more, but wait for
# each other.
MAX_INSTANT_SECONDS = 0.002
MAX_UNREACHABLE = 2  # attempts in a row, until a channel gets one attempt at a time
_UNREACHABLE = frozenset(
    {Reason.TIMEOUT_CONNECT, Reason.TIMEOUT_TOTAL, Reason.CONNECT_REFUSED, Reason.DNS_TIMEOUT}
)


def rate_limited_kinds() -> list[str]:
    """Return the kinds whose vendors limit the rate: one worker alone sends them, and counts."""
    return [name for name, kind in kinds().items() if kind.rate_limit]


@dataclass(eq=False)
class Seat:
    """A seat that a channel holds, and the start of its attempt (monotonic).

    It `is_long` if more messages follow.
    """

    channel_id: int
    since: float
    is_long: bool = False


@dataclass
class ChannelLimits:
    """The rate limits of vendors, and the channels that are slow or cannot be reached."""

    channels: ChannelCache
    monotonic: Clock
    _rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    _unreachable: Counter[int] = field(default_factory=Counter)  # attempts in a row
    _quick: set[int] = field(default_factory=set)  # by the last attempt
    _slow: set[int] = field(default_factory=set)
    _prompt: dict[int, float] = field(default_factory=dict)  # accepted the last one so quickly

    def record(self, channel_id: int, outcome: Outcome) -> None:
        """Note how long an attempt took, and count those in a row that reached no receiver."""
        self._quick.discard(channel_id)
        self._slow.discard(channel_id)
        self._prompt.pop(channel_id, None)
        seconds = outcome.milliseconds / 1000
        if outcome.good and seconds < MAX_RUN_SECONDS:
            self._prompt[channel_id] = seconds
        (self._slow if seconds > MAX_QUICK_SECONDS else self._quick).add(channel_id)
        if outcome.reason in _UNREACHABLE:
            self._unreachable[channel_id] += 1
        else:
            del self._unreachable[channel_id]

    def may_send(self, channel: CachedChannel) -> bool:
        """Return True if the rate limit allows a message now, and count the message."""
        key = channel.rate_limit_key
        return not self._rate_limiter.wait(key, channel.rate_limit, self.monotonic(), spread=True)

    def combined(self, room: Room) -> list[int]:
        """Return the channels with room whose waiting messages may become one.

        They are those with a rate limit, unless they keep messages separate.
        """
        combined = []
        for channel_id, channel in self.channels.items():
            if channel.combines and room.by_channel.get(channel_id, room.others) > 0:
                combined.append(channel_id)
        return combined

    def waits(self) -> list[float]:
        """Return the seconds until the exhausted rate limits allow a message."""
        return list(filter(None, map(self._wait, self.channels.values())))

    def room(self, seats: Iterable[Seat]) -> Room:
        """Return how many more seats a channel may take now.

        A channel is slow as well while one of its attempts takes long.
        """
        held: Counter[int] = Counter()
        limits = self._limits()
        slow = set(self._slow)
        long_ago = self.monotonic() - MAX_QUICK_SECONDS
        for seat in seats:
            held[seat.channel_id] += 1
            if seat.since < long_ago:
                slow.add(seat.channel_id)
            if seat.is_long and self._is_instant(seat.channel_id):
                limits[seat.channel_id] = 1
        room = divide(held, self._quick - slow, slow, self.channels)
        for channel_id, limit in limits.items():
            left = limit - held[channel_id]
            room.by_channel[channel_id] = min(left, room.by_channel.get(channel_id, room.others))
        return room

    def room_for_messages(self, room: Room) -> Room:
        """Return how many more messages may start in this room."""
        by_channel = dict(room.by_channel)
        for channel_id in self._prompt:
            seats = by_channel.get(channel_id, room.others)
            if self._is_instant(channel_id):
                seats = min(seats, 1)
            by_channel[channel_id] = self.max_run(channel_id) * seats
        return Room(by_channel, room.others)

    def max_run(self, channel_id: int) -> int:
        """Return how many messages of a channel may be sent one after another in one seat.

        They are many if the receiver accepted the last one at once.
        """
        channel = self.channels.get(channel_id)
        if channel_id in self._prompt and channel and not channel.rate_limit:
            return min(MAX_RUN, 1 + int(RUN_AHEAD / max(self._prompt[channel_id], 0.001)))
        return 1

    def _is_instant(self, channel_id: int) -> bool:
        return self._prompt.get(channel_id, MAX_INSTANT_SECONDS) < MAX_INSTANT_SECONDS

    def _limits(self) -> dict[int, int]:
        """Return the seats of the channels that may hold at most one."""
        limits = {}
        for channel_id, count in self._unreachable.items():
            if count >= MAX_UNREACHABLE:
                limits[channel_id] = 1
        for channel_id, channel in self.channels.items():
            if channel.rate_limit:
                limits[channel_id] = int(not self._wait(channel))
        return limits

    def _wait(self, channel: CachedChannel) -> float:
        key = channel.rate_limit_key
        return self._rate_limiter.look(key, channel.rate_limit, self.monotonic(), spread=True)
