"""For Prometheus: what the database knows, counted when it is asked, so that all web processes say the same."""

from collections import Counter
from itertools import product
from typing import Any

from flask import Blueprint, Response
from peewee import fn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from clock import DAY, now_ms
from config import VERSION
from models import Attempt, Channel, ChannelState, Delivery, DeliveryState, Proof
from web.auth.access import require_scope

bp = Blueprint("metrics", __name__)
# What is known stands there from the beginning, at 0: a query over a series that is not there finds nothing at all.
CHANNELS = dict.fromkeys(
    product(
        (ChannelState.DELIVERING, ChannelState.PAUSED, ChannelState.FAILING),
        (Proof.UNPROVEN, Proof.BY_TEST, Proof.BY_DELIVERY),
    ),
    0,
)
DELIVERIES = {(state,): 0 for state in DeliveryState}
TESTS = {
    (verdict,): 0 for verdict in ("delivered", "accepted", "retry", "failed", "gone", "blocked")
}


class TocsinCollector(Collector):
    """What is counted; a metric more is a line more in `collect`."""

    def collect(self):
        yield InfoMetricFamily(
            "tocsin_build", "The version of Tocsin that answers.", {"version": VERSION}
        )
        channels = Counter((channel.state, channel.proven) for channel in Channel.select())
        yield _gauge(
            "tocsin_channels",
            "Channels, by state and by what proves them.",
            ("state", "proof"),
            CHANNELS | channels,
        )
        words = "Tests of the last 24 hours, by verdict; the latest 50 of each channel are kept."
        recent = Attempt.select(Attempt.verdict).where(
            Attempt.purpose == "test", Attempt.at > now_ms() - DAY
        )
        yield _gauge(
            "tocsin_recent_tests",
            words,
            ("verdict",),
            TESTS | Counter((test.verdict,) for test in recent),
        )
        counts: Any = (
            Delivery.select(Delivery.state, fn.COUNT(Delivery.id)).group_by(Delivery.state).tuples()
        )
        states = {(state,): count for state, count in counts}
        yield _gauge(
            "tocsin_deliveries",
            "Deliveries that are kept, by state.",
            ("state",),
            DELIVERIES | states,
        )


def _gauge(name: str, words: str, labels: tuple[str, ...], values: dict) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, words, labels=labels)
    for of, value in values.items():
        gauge.add_metric(of, value)
    return gauge


@bp.get("/metrics")
@require_scope("metrics")
def metrics():
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(TocsinCollector())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
