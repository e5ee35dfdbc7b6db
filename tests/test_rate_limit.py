"""The rate limiter: in no window do more messages leave than a vendor allows."""

import random

import pytest

from delivery import rate_limit
from delivery.kinds import kinds
from delivery.rate_limit import RateLimiter

DINGTALK = ((20, 60.0),)
DISCORD = ((5, 2.0), (30, 60.0))


@pytest.fixture
def limiter():
    return RateLimiter()


def test_a_burst_leaves_at_once_and_the_next_message_when_the_first_is_out_of_the_window(limiter):
    assert [limiter.wait("robot", DINGTALK, number / 10) for number in range(20)] == [0.0] * 20
    assert limiter.wait("robot", DINGTALK, 2.0) == 58.0
    assert limiter.wait("robot", DINGTALK, 59.9) == pytest.approx(0.1)
    assert limiter.wait("robot", DINGTALK, 60.0) == 0.0


def test_a_message_that_has_to_wait_is_not_counted(limiter):
    for number in range(20):
        limiter.wait("robot", DINGTALK, number)
    for _ in range(100):
        assert limiter.wait("robot", DINGTALK, 30.0) == 30.0
    assert limiter.wait("robot", DINGTALK, 60.0) == 0.0


def test_a_look_records_nothing(limiter):
    assert [limiter.look("hook", ((1, 10.0),), 0.0) for _ in range(3)] == [0.0] * 3
    assert limiter.wait("hook", ((1, 10.0),), 0.0) == 0.0
    assert [limiter.look("hook", ((1, 10.0),), 4.0) for _ in range(3)] == [6.0] * 3
    assert limiter.wait("hook", ((1, 10.0),), 10.0) == 0.0


def test_each_key_has_its_own_rate(limiter):
    assert limiter.wait("one", ((1, 10.0),), 0.0) == 0.0
    assert limiter.wait("other", ((1, 10.0),), 0.0) == 0.0
    assert limiter.wait("one", ((1, 10.0),), 1.0) == 9.0


def test_a_kind_without_a_rate_limit_never_waits(limiter):
    assert {limiter.wait("key", (), 0.0) for _ in range(1000)} == {0.0}
    assert limiter.look("key", (), 0.0) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_no_window_ever_holds_more_messages_than_the_vendor_allows(limiter, seed):
    rng = random.Random(seed)
    now = 0.0
    sent = []
    for _ in range(2000):
        now += rng.choice([0.0, 0.01, 0.3, 2.5])
        if limiter.wait("hook", DISCORD, now) == 0.0:
            sent.append(now)
    for count, seconds in DISCORD:
        assert all(
            later - earlier >= seconds - 1e-9
            for earlier, later in zip(sent, sent[count:], strict=False)
        )


def test_waiting_the_returned_seconds_is_enough(limiter):
    now = 0.0
    for _ in range(200):
        now += limiter.wait("hook", DISCORD, now)
        assert limiter.wait("hook", DISCORD, now + 1e-6) >= 0
    assert now >= 60.0 * (200 / 30 - 2)


def test_the_number_of_remembered_keys_is_bounded(limiter, monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_KEYS", 10)
    for number in range(100):
        limiter.wait(str(number), DINGTALK, 0.0)
    assert len(limiter._sent) == 10


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.name)
def test_every_rate_limit_is_a_count_and_seconds(kind):
    assert all(
        isinstance(count, int) and count > 0 and seconds > 0 for count, seconds in kind.rate_limit
    )
