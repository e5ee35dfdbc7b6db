"""What became of deliveries in each hour, for the dashboard.

Counting the log takes too long when it is large, so each transaction that settles deliveries adds
to the counts of its hour. Delays are counted in buckets, each a quarter wider than the one before.
"""

import math
from collections import Counter
from collections.abc import Iterable

from clock import HOUR
from delivery.outbox.attempt_result import AttemptResult
from delivery.outbox.statements import execute, execute_many
from models import DeliveryState

BUCKET_FACTOR = 1.25
_GROWTH = math.log(BUCKET_FACTOR)
_COLUMNS = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.ACCEPTED: "delivered",
    DeliveryState.FAILED: "failed",
}

_COUNT = """
    INSERT INTO activity (hour, channel_id, delivered, retried, failed)
    VALUES (:hour, :channel_id, :delivered, :retried, :failed)
    ON CONFLICT (hour, channel_id) DO UPDATE SET
        delivered = activity.delivered + excluded.delivered,
        retried = activity.retried + excluded.retried, failed = activity.failed + excluded.failed"""
_COUNT_DELAYS = """
    INSERT INTO delay_count (hour, bucket, number) VALUES (:hour, :bucket, :number)
    ON CONFLICT (hour, bucket) DO UPDATE SET number = delay_count.number + excluded.number"""
_DELAYS = """
    SELECT bucket, CAST(sum(number) AS BIGINT) FROM delay_count WHERE hour >= :since
    GROUP BY bucket ORDER BY bucket"""


def count_activity(results: Iterable[AttemptResult], now: int) -> None:
    """Add the results of attempts to the counts of this hour."""
    hour = hour_of(now)
    counts: dict[int, Counter[str]] = {}
    delays: Counter[int] = Counter()
    for result in results:
        column = _COLUMNS.get(result.state, "retried")
        counts.setdefault(result.channel_id, Counter())[column] += 1
        if column == "delivered":
            arrived_at = result.started_at + result.outcome.milliseconds
            delays[bucket_of(arrived_at - result.waits_since)] += 1
    rows = []
    for channel_id, numbers in counts.items():
        columns = {name: numbers[name] for name in ("delivered", "retried", "failed")}
        rows.append({"channel_id": channel_id, "hour": hour, **columns})
    execute_many(_COUNT, rows)
    delay_rows = []
    for bucket, number in delays.items():
        delay_rows.append({"hour": hour, "bucket": bucket, "number": number})
    execute_many(_COUNT_DELAYS, delay_rows)


def hour_of(time: int) -> int:
    """Return the beginning of the hour of a time."""
    return time - time % HOUR


def bucket_of(delay: float) -> int:
    """Return the bucket of a delay in milliseconds; 0 up to one millisecond."""
    return round(math.log(max(1.0, delay)) / _GROWTH)


def delay_percentiles(since: int, percents: Iterable[int]) -> list[float | None]:
    """Return percentiles of the delays since an hour, in milliseconds; None without a delivery.

    They are right within an eighth.
    """
    buckets = execute(_DELAYS, since=since).fetchall()
    total = sum(number for _, number in buckets)
    return [_percentile(buckets, total * percent / 100) for percent in percents]


def _percentile(buckets: list[tuple[int, int]], rank: float) -> float | None:
    count = 0
    for bucket, number in buckets:
        count += number
        if count >= rank:
            return BUCKET_FACTOR**bucket
    return None
