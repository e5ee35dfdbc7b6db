"""Limit how many deliveries of a channel are in flight, and how fast they follow."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from delivery.outbox import MAX_PER_CHANNEL, ClaimedDelivery
from delivery.outcome import Outcome, Reason
from delivery.queue.channel_cache import CachedChannel, ChannelCache
from delivery.rate_limit import RateLimiter
from delivery.sender import Clock

MAX_UNREACHABLE = 2  # attempts in a row, until a channel gets one attempt at a time
_UNREACHABLE = frozenset(
    {Reason.TIMEOUT_CONNECT, Reason.TIMEOUT_TOTAL, Reason.CONNECT_REFUSED, Reason.DNS_TIMEOUT}
)


@dataclass
class ChannelLimits:
    """The rate limits of vendors, and the channels that cannot be reached."""

    channels: ChannelCache
    monotonic: Clock
    _rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    _unreachable: Counter[int] = field(default_factory=Counter)  # attempts in a row

    def record(self, channel_id: int, outcome: Outcome) -> None:
        """Count the attempts in a row that did not reach a receiver."""
        if outcome.reason in _UNREACHABLE:
            self._unreachable[channel_id] += 1
        else:
            del self._unreachable[channel_id]

    def may_send(self, channel: CachedChannel) -> bool:
        """Return True if the rate limit allows a message now, and count the message."""
        key = channel.rate_limit_key
        return not self._rate_limiter.wait(key, channel.rate_limit, self.monotonic())

    def waits(self) -> list[float]:
        """Return the seconds until the exhausted rate limits allow a message."""
        return list(filter(None, map(self._wait, self.channels.values())))

    def room(self, in_flight: Iterable[ClaimedDelivery]) -> dict[int, int]:
        """Return how many more deliveries may start, by channel; others may start the maximum."""
        room = {}
        for channel_id, count in self._unreachable.items():
            if count >= MAX_UNREACHABLE:
                room[channel_id] = 1
        for channel_id, channel in self.channels.items():
            if channel.rate_limit:
                room[channel_id] = int(not self._wait(channel))
        for delivery in in_flight:
            room[delivery.channel_id] = room.get(delivery.channel_id, MAX_PER_CHANNEL) - 1
        return room

    def _wait(self, channel: CachedChannel) -> float:
        key = channel.rate_limit_key
        return self._rate_limiter.look(key, channel.rate_limit, self.monotonic())
