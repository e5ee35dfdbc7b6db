"""Hourly counts of what became of deliveries, which the dashboard shows."""

import pytest
from attempts import answered, claim_deliveries, result_of

from clock import DAY, HOUR, MINUTE, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox.activity import BUCKET_FACTOR, bucket_of, hour_of
from delivery.outcome import Verdict
from models import Activity, Channel, DelayCount, DeliveryState

NOW = hour_of(1_790_000_000_000) + 5 * MINUTE


@pytest.fixture
def channel(app):
    return Channel.create(name="Ops", kind="webhook", created_at=1, updated_at=1)


def post(key, now=NOW):
    outbox.store([ReceivedAlert(key, Alert.from_json({"name": "A", "status": "open"}))], now)


def settle(*outcomes, now=NOW, at=NOW):
    """Settle one claimed delivery with each of these (verdict, state)."""
    claimed = claim_deliveries(now)
    results = []
    for delivery, (verdict, state) in zip(claimed, outcomes, strict=True):
        results.append(result_of(delivery, answered(verdict), at, state=state))
    outbox.settle(results, now)


def counts():
    rows = Activity.select().order_by(Activity.hour)
    return [(row.hour, row.delivered, row.retried, row.failed) for row in rows]


def test_every_result_is_counted_in_the_hour_in_which_it_is_stored(channel):
    for number in range(4):
        post(f"k{number}")
    settle(
        (Verdict.DELIVERED, DeliveryState.DELIVERED),
        (Verdict.ACCEPTED, DeliveryState.ACCEPTED),
        (Verdict.RETRY, DeliveryState.PENDING),
        (Verdict.FAILED, DeliveryState.FAILED),
    )
    assert counts() == [(hour_of(NOW), 2, 1, 1)]
    settle((Verdict.DELIVERED, DeliveryState.DELIVERED), now=NOW + HOUR)
    assert counts() == [(hour_of(NOW), 2, 1, 1), (hour_of(NOW) + HOUR, 1, 0, 0)]


def test_percentiles_of_the_delay_are_right_within_an_eighth(channel):
    delays = (60_000, 900, 130, 20, 4)
    for delay in delays:
        post(f"k{delay}", NOW - delay)
        settle((Verdict.DELIVERED, DeliveryState.DELIVERED), at=NOW - 1)
    p50, p95 = outbox.delay_percentiles(NOW - DAY, (50, 95))
    assert p50 == pytest.approx(130, rel=0.125)
    assert p95 == pytest.approx(60_000, rel=0.125)


def test_there_are_no_percentiles_without_a_delivery(app):
    assert outbox.delay_percentiles(now_ms() - DAY, (50, 95)) == [None, None]


@pytest.mark.parametrize(
    ("delay", "bucket"), [(-5, 0), (0, 0), (1, 0), (BUCKET_FACTOR, 1), (BUCKET_FACTOR**40, 40)]
)
def test_each_bucket_is_a_quarter_wider_than_the_one_before(delay, bucket):
    assert bucket_of(delay) == bucket


def test_counts_go_after_two_days(channel):
    post("k")
    settle((Verdict.DELIVERED, DeliveryState.DELIVERED))
    list(outbox.prune(NOW + DAY, 30, 1000))
    assert Activity.select().count() == DelayCount.select().count() == 1
    list(outbox.prune(NOW + 2 * DAY + HOUR, 30, 1000))
    assert Activity.select().count() == DelayCount.select().count() == 0
