"""A vendor's rate is kept: whatever the rhythm of the messages, no window holds more than it may."""

import random

import pytest

from delivery import rate_limit as module
from delivery.kinds import kinds
from delivery.rate_limit import RateLimiter

DINGTALK = ((20, 60.0),)
DISCORD = ((5, 2.0), (30, 60.0))


def test_twenty_leave_at_once_and_the_next_a_minute_after_the_first():
    rate_limiter = RateLimiter()
    assert [rate_limiter.wait("robot", DINGTALK, number / 10) for number in range(20)] == [0.0] * 20
    assert rate_limiter.wait("robot", DINGTALK, 2.0) == 58.0
    assert rate_limiter.wait("robot", DINGTALK, 59.9) == pytest.approx(0.1)
    assert rate_limiter.wait("robot", DINGTALK, 60.0) == 0.0


def test_who_has_to_wait_does_not_count():
    rate_limiter = RateLimiter()
    for number in range(20):
        rate_limiter.wait("robot", DINGTALK, number)
    for _ in range(100):
        assert rate_limiter.wait("robot", DINGTALK, 30.0) == 30.0
    assert rate_limiter.wait("robot", DINGTALK, 60.0) == 0.0


def test_each_place_has_a_rate_of_its_own():
    rate_limiter = RateLimiter()
    assert rate_limiter.wait("one", ((1, 10.0),), 0.0) == 0.0
    assert rate_limiter.wait("other", ((1, 10.0),), 0.0) == 0.0
    assert rate_limiter.wait("one", ((1, 10.0),), 1.0) == 9.0


def test_a_kind_without_a_rate_never_waits():
    rate_limiter = RateLimiter()
    assert {rate_limiter.wait("place", (), 0.0) for _ in range(1000)} == {0.0}


@pytest.mark.parametrize("seed", range(20))
def test_no_window_ever_holds_more_than_the_vendor_takes(seed):
    chance, rate_limiter, now, left = random.Random(seed), RateLimiter(), 0.0, []
    for _ in range(2000):
        now += chance.choice([0.0, 0.01, 0.3, 2.5])
        if rate_limiter.wait("hook", DISCORD, now) == 0.0:
            left.append(now)
    for count, seconds in DISCORD:
        assert all(
            later - earlier >= seconds - 1e-9
            for earlier, later in zip(left, left[count:], strict=False)
        )


def test_what_is_waited_for_is_enough():
    rate_limiter, now = RateLimiter(), 0.0
    for _ in range(200):
        now += rate_limiter.wait("hook", DISCORD, now)
        assert rate_limiter.wait("hook", DISCORD, now + 1e-6) >= 0
    assert now >= 60.0 * (200 / 30 - 2)


def test_no_more_places_are_remembered_than_is_bearable(monkeypatch):
    monkeypatch.setattr(module, "MOST_PLACES", 10)
    rate_limiter = RateLimiter()
    for number in range(100):
        rate_limiter.wait(str(number), DINGTALK, 0.0)
    assert len(rate_limiter._left) == 10


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_every_rate_is_a_count_and_seconds(kind):
    assert all(
        isinstance(count, int) and count > 0 and seconds > 0 for count, seconds in kind.rate_limit
    )
