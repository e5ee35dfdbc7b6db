"""The settlement decides what follows an attempt, from values alone."""

from typing import Any

import pytest

from clock import HOUR
from delivery.alerts.routing import PROBE_INTERVAL, WAITING_STATES
from delivery.outbox import ClaimedDelivery
from delivery.outcome import Actor, Outcome, Reason, Verdict
from delivery.queue.channel_cache import CachedChannel
from delivery.queue.settlement import FinishedAttempt, settle_attempt
from delivery.settings import Settings
from models import ChannelState

NOW = 1_790_000_000_000
DELIVERY = ClaimedDelivery(
    id=7,
    channel_id=3,
    attempt=2,
    repeated=0,
    created_at=NOW - HOUR,
    expires_at=NOW + HOUR,
    body=None,
    crashes=0,
    finished_attempts=1,
    event="open",
    alert_id=5,
    alert_body="{}",
)


def settle(verdict, state=ChannelState.DELIVERING, steps=(10, 30), retry_after=None, **fields):
    channel = CachedChannel(Settings(), "", steps, (), state, "hash", ())
    outcome = Outcome(
        verdict, Reason.OK, Actor.RECEIVER, "It said so.", "", "r", 1.0, retry_after=retry_after
    )
    attempt = FinishedAttempt(DELIVERY.id, channel, outcome, NOW - 50)
    return settle_attempt(DELIVERY._replace(**fields), attempt, NOW, 0.5)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.DELIVERED, "delivered"),
        (Verdict.ACCEPTED, "accepted"),
        (Verdict.FAILED, "failed"),
        (Verdict.GONE, "failed"),
        (Verdict.BLOCKED, "failed"),
    ],
)
def test_a_final_verdict_settles_the_delivery(verdict, state):
    result = settle(verdict)
    assert (result.state, result.due_at, result.cause) == (state, NOW, "It said so.")
    assert result.state not in WAITING_STATES


RETRIES: list[tuple[dict[str, Any], str, int, str]] = [
    ({}, "pending", 30_000, "It said so."),
    ({"retry_after": 0.2}, "pending", 1000, "The receiver asked for 0.2 s."),
    ({"retry_after": 90.0}, "pending", 90_000, "The receiver asked for 90 s."),
    ({"steps": (10,)}, "failed", 0, "That was the last attempt, number 2."),
    ({"expires_at": NOW + 30_000}, "failed", 0, "It expires before the next attempt"),
    ({"expires_at": NOW + 30_001}, "pending", 30_000, "It said so."),
]


@pytest.mark.parametrize(("fields", "state", "wait", "cause"), RETRIES)
def test_a_retry_follows_the_schedule_until_the_delivery_expires(fields, state, wait, cause):
    result = settle(Verdict.RETRY, **fields)
    assert (result.state, result.due_at - NOW) == (state, wait)
    assert cause in result.cause


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED, Verdict.GONE])
def test_a_probe_that_does_not_arrive_is_held_again(verdict):
    result = settle(verdict, state=ChannelState.FAILING)
    assert (result.state, result.due_at) == ("held", NOW + PROBE_INTERVAL)


def test_a_probe_that_arrives_is_delivered_and_an_expired_one_fails():
    assert settle(Verdict.DELIVERED, state=ChannelState.FAILING).state == "delivered"
    assert settle(Verdict.GONE, state=ChannelState.FAILING, expires_at=NOW).state == "failed"


def test_a_result_names_the_attempt_and_its_configuration():
    result = settle(Verdict.DELIVERED)
    assert (result.delivery_id, result.channel_id, result.number) == (7, 3, 2)
    assert (result.config_hash, result.started_at) == ("hash", NOW - 50)
    assert (result.outcome.verdict, result.outcome.says) == ("delivered", "It said so.")
