"""The settlement decides what follows an attempt, from values alone."""

from typing import Any

import pytest

from clock import HOUR
from delivery.alerts.plans import WAITING_STATES
from delivery.outbox import ClaimedDelivery
from delivery.outcome import Actor, Outcome, Reason, Verdict
from delivery.queue.channel_cache import CachedChannel
from delivery.queue.settlement import FinishedAttempt, settle_attempt
from delivery.retry import SCHEDULE
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
    config_hash="hash",
    retries=1,
    not_found=0,
    notified=None,
    matchers="",
    event="open",
    alert_id=5,
    alert_body="{}",
)


def settle(
    verdict,
    state=ChannelState.DELIVERING,
    steps=(10, 30),
    retry_after=None,
    status=None,
    **fields,
):
    channel = CachedChannel(Settings(), "", "", steps, (), False, state, "hash", (1, 7))
    outcome = Outcome(
        verdict,
        Reason.OK,
        Actor.RECEIVER,
        "It said so.",
        "",
        "r",
        milliseconds=1.0,
        status=status,
        retry_after=retry_after,
    )
    attempt = FinishedAttempt(DELIVERY.id, channel, outcome, NOW - 50)
    return settle_attempt(DELIVERY._replace(**fields), attempt, NOW, 0.5)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.DELIVERED, "delivered"),
        (Verdict.ACCEPTED, "accepted"),
        (Verdict.FAILED, "failed"),
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


@pytest.mark.parametrize("expires_at", [NOW - 1, NOW + HOUR])
@pytest.mark.parametrize("state", ChannelState)
def test_a_delivery_that_finds_its_hook_gone_is_held(state, expires_at):
    result = settle(Verdict.GONE, state=state, status=410, expires_at=expires_at)
    assert (result.state, result.retries) == ("held", 1)


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAILED, Verdict.BLOCKED])
def test_a_probe_without_a_response_is_held_again(verdict):
    result = settle(verdict, state=ChannelState.FAILING, expires_at=NOW)
    assert (result.state, result.is_probe, result.retries) == ("held", True, 1)


def test_a_probe_takes_no_step_of_the_schedule():
    probe = settle(Verdict.RETRY, state=ChannelState.FAILING, status=503)
    assert (probe.state, probe.retries, probe.due_at) == ("pending", 1, NOW + 30_000)
    assert settle(Verdict.RETRY, status=503).retries == 2


def test_a_probe_that_the_receiver_refuses_fails():
    assert settle(Verdict.FAILED, state=ChannelState.FAILING, status=400).state == "failed"


@pytest.mark.parametrize(
    ("not_found", "steps", "state", "wait"),
    [
        (0, SCHEDULE, "pending", 10),
        (1, SCHEDULE, "pending", 120),
        (2, SCHEDULE, "failed", 0),
        (0, (1, 2), "pending", 2),
        (0, (), "failed", 0),
    ],
)
def test_a_404_is_worth_two_retries_within_five_minutes(not_found, steps, state, wait):
    result = settle(Verdict.FAILED, status=404, steps=steps, not_found=not_found, retry_after=3600)
    assert (result.state, result.due_at) == (state, NOW + wait * 1000)
    assert (result.not_found, result.retries) == (not_found + 1, 1)


def test_a_result_names_the_attempt_and_its_configuration():
    result = settle(Verdict.DELIVERED)
    assert (result.delivery_id, result.channel_id, result.number) == (7, 3, 2)
    assert (result.config_hash, result.started_at) == ("hash", NOW - 50)
    assert result.version == 7
    assert (result.outcome.verdict, result.outcome.says) == ("delivered", "It said so.")
