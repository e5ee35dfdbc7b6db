"""Metrics for Prometheus, counted in the database so that all web processes agree."""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any

from flask import Blueprint, Response
from peewee import fn
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import Counter as MetricCounter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from clock import DAY, HOUR, SECOND, now_ms
from config import VERSION
from delivery import outbox
from delivery.alerts.plans import ACTIVE_STATES, DELIVERY_LIFETIME
from delivery.health import Health, health_of, trouble_length
from delivery.outcome import Verdict
from delivery.queue import pulse
from models import (
    IS_TEST,
    Attempt,
    Channel,
    ChannelState,
    Delivery,
    DeliveryState,
    Proof,
    SettledCount,
)
from web.api.operation import describe
from web.auth.access import require_scope
from web.worker_status import worker_status

bp = Blueprint("metrics", __name__)
PERCENTILES = (50, 95, 99)
FAILED_STATES = (DeliveryState.FAILED, DeliveryState.PARKED)
disable_created_metrics()  # the counter lives in the database, not as long as the process


@bp.get("/metrics")
@require_scope("metrics")
@describe({200: str}, media_type="text/plain")
def metrics():
    """Return all metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    Info("tocsin_build", "The running version.", registry=registry).info({"version": VERSION})
    gauge = Gauge(
        "tocsin_channels", "Channels by state and proof.", ["state", "proof"], registry=registry
    )
    channels = list(Channel.listed())
    counts = Counter((channel.state, channel.proven) for channel in channels)
    _set(gauge, product(ChannelState, Proof), counts)
    _set_health(registry, channels, now_ms())
    gauge = Gauge(
        "tocsin_recent_tests",
        "Tests of the last 24 hours by verdict; the latest 50 of each channel are kept.",
        ["verdict"],
        registry=registry,
    )
    recent = Attempt.select().where(IS_TEST, Attempt.at > now_ms() - DAY)
    _set(gauge, product(Verdict), _count(recent, Attempt.verdict))
    _set_deliveries(registry, now_ms())
    MetricCounter(
        "tocsin_alerts_without_channel",
        "Openings of alerts that matched no channel.",
        registry=registry,
    ).inc(outbox.count_unmatched())
    _set_worker(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _set_health(registry: CollectorRegistry, channels: list[Channel], now: int) -> None:
    gauge = Gauge(
        "tocsin_channel_health", "Channels by their health.", ["health"], registry=registry
    )
    _set(gauge, product(Health), Counter((health_of(channel, now),) for channel in channels))
    gauge = Gauge(
        "tocsin_channel_trouble_seconds",
        "Time for which a channel has not been getting through; 0 if it does, or is paused.",
        ["channel"],
        registry=registry,
    )
    for channel in channels:
        gauge.labels(channel.name).set(trouble_length(channel, now) / SECOND)
    gauge = Gauge(
        "tocsin_channel_proven_seconds",
        "Time since a test, fire drill or delivery last proved the configuration of a channel; NaN "
        "if none has.",
        ["channel"],
        registry=registry,
    )
    for channel in channels:
        proven_at = None if channel.proven == Proof.UNPROVEN else channel.proven_at
        gauge.labels(channel.name).set(
            math.nan if proven_at is None else (now - proven_at) / SECOND
        )


def _set_deliveries(registry: CollectorRegistry, now: int) -> None:
    gauge = Gauge("tocsin_deliveries", "Stored deliveries by state.", ["state"], registry=registry)
    unsettled = Delivery.select().where(Delivery.state << ACTIVE_STATES)
    settled = {(row.state,): row.number for row in SettledCount.select()}
    _set(gauge, product(DeliveryState), {**settled, **_count(unsettled, Delivery.state)})
    gauge = Gauge(
        "tocsin_max_pending_deliveries",
        "Number of pending deliveries at which alerts are refused with 503.",
        registry=registry,
    )
    gauge.set(outbox.MAX_WAITING)
    _set_failures(registry, now)
    _set_delays(registry, now)
    attempts = MetricCounter(
        "tocsin_attempts", "Attempts of deliveries and tests.", registry=registry
    )
    attempts.inc(Attempt.select(fn.MAX(Attempt.id)).scalar() or 0)


def _set_failures(registry: CollectorRegistry, now: int) -> None:
    gauge = Gauge(
        "tocsin_recent_failures",
        "Deliveries that failed in the last hour by state, except canceled ones.",
        ["state"],
        registry=registry,
    )
    # An id begins with its time: old failures, which may be many, are not read.
    is_new = Delivery.id > (now - 2 * DELIVERY_LIFETIME) * 1_000_000
    failed = Delivery.select().where(
        Delivery.state << FAILED_STATES, is_new, Delivery.settled_at > now - HOUR
    )
    _set(gauge, product(FAILED_STATES), _count(failed, Delivery.state))


def _set_delays(registry: CollectorRegistry, now: int) -> None:
    gauge = Gauge(
        "tocsin_recent_delay_seconds",
        "Time from an alert to the receiver's success, of the last hour, at most the latest 1,000 "
        "attempts; NaN without any.",
        ["percentile"],
        registry=registry,
    )
    delays = outbox.recent_delays(now)
    for percentile in PERCENTILES:
        rank = math.ceil(len(delays) * percentile / 100)
        seconds = delays[rank - 1] / SECOND if delays else math.nan
        gauge.labels(str(percentile)).set(seconds)


def _set_worker(registry: CollectorRegistry) -> None:
    gauge = Gauge(
        "tocsin_worker_silent_seconds",
        "Time since the last sign of life of the worker; NaN if none has ever run.",
        registry=registry,
    )
    silent = worker_status().silent
    gauge.set(math.nan if silent is None else silent)
    gauge = Gauge(
        "tocsin_oldest_due_seconds",
        "Time for which the oldest waiting delivery has been due.",
        registry=registry,
    )
    gauge.set(outbox.oldest_due_age(now_ms()) / SECOND)
    gauge = Gauge(
        "tocsin_heartbeat_seconds",
        "Time since the last heartbeat that was accepted; NaN if none ever was.",
        registry=registry,
    )
    accepted_at = pulse.last_state().accepted_at
    gauge.set((now_ms() - accepted_at) / SECOND if accepted_at else math.nan)


def _count(query: Any, column: Any) -> dict[tuple, int]:
    rows = query.select(column, fn.COUNT(column)).group_by(column).tuples()
    return {(value,): count for value, count in rows}


def _set(gauge: Gauge, known: Iterable[tuple], counts: dict[tuple, int]) -> None:
    """Set the counts; every known combination of labels without one is 0.

    A query over a series that does not exist finds nothing at all.
    """
    for labels, count in {**dict.fromkeys(known, 0), **counts}.items():
        gauge.labels(*labels).set(count)
