"""Whether a channel gets messages through. Pure: no clock, no database."""

from enum import StrEnum

from clock import HOUR
from models import Channel, ChannelState

MAX_FAILURES = 20
FAILING_AFTER = 6 * HOUR


class Health(StrEnum):
    """Health of a channel.

    It is `retrying` while attempts fail and none has succeeded since, and `failing` when that lasts
    and many deliveries have failed for good, or when the hook is gone. An `unused` channel has had
    no attempt of a delivery yet.
    """

    OK = "ok"
    RETRYING = "retrying"
    FAILING = "failing"
    PAUSED = "paused"
    UNUSED = "unused"


IN_TROUBLE = (Health.RETRYING, Health.FAILING)


def health_of(channel: Channel, now: int) -> Health:
    """Return the health of a channel."""
    return judge_health(
        channel.state, channel.attempted_at, channel.trouble_since, channel.failures, now
    )


def judge_health(
    state: str, attempted_at: int | None, trouble_since: int | None, failures: int, now: int
) -> Health:
    """Return the health by these columns; a channel in an unknown state is like a paused one."""
    if state == ChannelState.FAILING:
        return Health.FAILING
    if state != ChannelState.DELIVERING:
        return Health.PAUSED
    if trouble_since is None:
        return Health.UNUSED if attempted_at is None else Health.OK
    if failures >= MAX_FAILURES and now - trouble_since >= FAILING_AFTER:
        return Health.FAILING
    return Health.RETRYING


def trouble_length(channel: Channel, now: int) -> int:
    """Return for how many milliseconds a channel has been in trouble; 0 if it is not."""
    if health_of(channel, now) not in IN_TROUBLE or channel.trouble_since is None:
        return 0
    return max(0, now - channel.trouble_since)
