"""What the dashboard shows, each part by an index or from counts that are kept."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from clock import DAY, HOUR
from delivery import outbox
from delivery.content.severity import Severity
from delivery.health import Health
from delivery.log import search
from delivery.log.log_filter import PROBLEMS, STATE_FILTERS, WAITING, LogFilter
from models import Attempt, Channel, Delivery, Token, db
from web.channels import listing
from web.channels.health import ChannelHealth, describe_health
from web.dashboard.charts import HOURS, Bar, HourlyCount, Strip, bars, fill_hours, strip
from web.deliveries import alert_list, log

MAX_CHANNELS = 12
MAX_PROBLEMS = 5
# The channels that need somebody come first.
_ORDER = (Health.FAILING, Health.RETRYING, Health.PAUSED, Health.OK, Health.UNUSED)
_TOTALS = """
    SELECT hour, CAST(sum(delivered) AS BIGINT), CAST(sum(retried) AS BIGINT),
        CAST(sum(failed) AS BIGINT)
    FROM activity WHERE hour >= :since GROUP BY hour"""
_OF_CHANNELS = """
    SELECT channel_id, hour, delivered, retried, failed FROM activity
    WHERE hour >= :since
        AND channel_id IN (SELECT CAST(value AS BIGINT) FROM json_each(:channels))"""
# Everything whose change the dashboard shows: new attempts and deliveries, and what waits.
_PULSE = """
    SELECT coalesce((SELECT max(id) FROM attempt), 0), coalesce((SELECT max(id) FROM delivery), 0),
        (SELECT count(*) FROM (
            SELECT 1 FROM delivery WHERE state IN ('pending', 'sending') LIMIT :limit) AS part)"""


class ChannelRow(NamedTuple):
    """A channel with its health and its last hours."""

    channel: Channel
    health: ChannelHealth
    strip: Strip


class Channels(NamedTuple):
    """The channels that need attention first, at most `MAX_CHANNELS`; and how many there are.

    `by_health` has the number of channels of each health that occurs, in the order of the rows.
    """

    rows: list[ChannelRow]
    by_health: dict[Health, int]
    total: int

    @property
    def in_trouble(self) -> int:
        """The number of channels that are not getting through."""
        return self.by_health.get(Health.FAILING, 0) + self.by_health.get(Health.RETRYING, 0)


class Day(NamedTuple):
    """The last 24 hours: the hours, the totals, and percentiles of the delay in milliseconds."""

    bars: list[Bar]
    delivered: int
    failed: int
    p50: float | None
    p95: float | None


class Waiting(NamedTuple):
    """What waits: how many deliveries, how many of them are held, and the age of the oldest."""

    total: int
    held: int
    oldest_due_age: int


class Pulse(NamedTuple):
    """What changes when something happens; `waiting` is the number of deliveries under way."""

    attempt: int
    delivery: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.attempt}-{self.delivery}-{self.waiting}"


def read_pulse() -> Pulse:
    """Return the pulse, with one statement."""
    limit = {"limit": search.MAX_COUNT + 1}
    return Pulse(*db.execute_sql(_PULSE, limit).fetchone())


def _first_hour(now: int) -> int:
    return outbox.hour_of(now) - (HOURS - 1) * HOUR


def read_channels(now: int) -> Channels:
    """Return the channels, those that need attention first, then by name."""
    entries = listing.load(now)
    counts = Counter(entry.health for entry in entries)
    by_health = {health: counts[health] for health in _ORDER if counts[health]}
    entries.sort(key=lambda entry: _ORDER.index(entry.health))
    first = [entry.id for entry in entries[:MAX_CHANNELS]]
    found = {channel.id: channel for channel in Channel.select().where(Channel.id << first)}
    shown = [found[channel_id] for channel_id in first if channel_id in found]
    hours = _hours_of([channel.id for channel in shown], now)
    described = describe_health(shown, now)
    rows = []
    for channel in shown:
        of_channel = strip(fill_hours(hours.get(channel.id, []), now))
        rows.append(ChannelRow(channel, described[channel.id], of_channel))
    return Channels(rows, by_health, len(entries))


def _hours_of(channel_ids: Sequence[int], now: int) -> dict[int, list[HourlyCount]]:
    parameters = {"since": _first_hour(now), "channels": json.dumps(list(channel_ids))}
    hours: dict[int, list[HourlyCount]] = {}
    for channel_id, *columns in db.execute_sql(_OF_CHANNELS, parameters):
        hours.setdefault(channel_id, []).append(HourlyCount(*columns))
    return hours


def read_day(now: int) -> Day:
    """Return what became of deliveries in the last 24 hours."""
    since = _first_hour(now)
    rows = db.execute_sql(_TOTALS, {"since": since})
    hours = fill_hours([HourlyCount(*row) for row in rows], now)
    p50, p95 = outbox.delay_percentiles(since, (50, 95))
    delivered = sum(hour.delivered for hour in hours)
    failed = sum(hour.failed for hour in hours)
    return Day(bars(hours), delivered, failed, p50, p95)


def read_waiting(now: int) -> Waiting:
    """Return what waits; numbers are at most `search.MAX_COUNT` + 1 for each state."""
    counts = search.count_by_state(LogFilter())
    total = sum(counts[state] for state in STATE_FILTERS[WAITING])
    return Waiting(total, counts["held"], outbox.oldest_due_age(now))


def recent_problems(now: int) -> tuple[int, list[Delivery]]:
    """Return how many deliveries of the last 24 hours did not arrive, and the latest ones."""
    of_day = LogFilter(states=STATE_FILTERS[PROBLEMS], since=now - DAY)
    counts = search.count_by_state(of_day)
    number = sum(counts[state] for state in of_day.states)
    if not number:
        return 0, []
    return number, log.page_of(of_day, 0, MAX_PROBLEMS).deliveries


def open_alerts() -> dict[Severity, int]:
    """Return the number of open alerts of each severity that has some."""
    return {severity: number for severity, number in alert_list.count_open().items() if number}


class Steps(NamedTuple):
    """The first steps with a new installation, and which of them are done."""

    has_channel: bool
    has_test: bool
    has_token: bool


def first_steps() -> Steps | None:
    """Return the first steps; None once an alert was delivered to a channel."""
    if Delivery.select(Delivery.id).limit(1).exists():
        return None
    return Steps(
        Channel.listed().exists(),
        Attempt.select(Attempt.id).where(Attempt.purpose == "test").limit(1).exists(),
        Token.select(Token.id).limit(1).exists(),
    )
