"""Seats: slow receivers, however many, leave some to channels that are quick or new."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.outcome import Reason
from delivery.queue.channel_limits import MAX_QUICK_SECONDS, ChannelLimits, Seat
from delivery.queue.seats import (
    MAX_SEATS,
    MIN_FREE_FOR_NEW,
    MIN_FREE_FOR_SLOW,
    new_limit,
    quick_limit,
    slow_room,
)

MAX_SLOW_AT_ORIGIN = 8


class World:
    """Channels with endless deliveries, and the attempts that they have in flight."""

    def __init__(self):
        self.now = 1000.0
        self.channels = {}
        self.limits = ChannelLimits(self.channels, lambda: self.now)
        self.in_flight = []

    def add(self, channel_id, origin, seconds=None):
        """Add a channel whose last attempt took `seconds`; a new one without."""
        self.channels[channel_id] = SimpleNamespace(origin=origin, rate_limit=())
        if seconds is not None:
            self.record(channel_id, seconds)

    def record(self, channel_id, seconds, reason=Reason.OK):
        good = reason == Reason.OK
        outcome = SimpleNamespace(milliseconds=seconds * 1000, reason=reason, good=good)
        self.limits.record(channel_id, outcome)

    @property
    def free(self):
        return MAX_SEATS - len(self.in_flight)

    def room(self, channel_id):
        room = self.limits.room(self.in_flight)
        return min(self.free, room.by_channel.get(channel_id, room.others))

    def start(self, channel_id):
        """Start a delivery if there is room; return whether there was."""
        has_room = self.room(channel_id) > 0
        if has_room:
            self.in_flight.append(Seat(channel_id, self.now))
        return has_room

    def fill(self, *channel_ids):
        """Start deliveries, one of each channel in turn, until no channel has room."""
        before = -1
        while before != len(self.in_flight):
            before = len(self.in_flight)
            for channel_id in channel_ids:
                self.start(channel_id)

    def held(self):
        return Counter(seat.channel_id for seat in self.in_flight)

    def finish(self, channel_id, seconds):
        """End one attempt of a channel."""
        ended = next(one for one in self.in_flight if one.channel_id == channel_id)
        self.in_flight.remove(ended)
        self.record(channel_id, seconds)


@pytest.fixture
def world():
    return World()


# --- the rules ---


@pytest.mark.parametrize(
    ("free", "quick", "new"),
    [
        (128, 4, 1),
        (16, 4, 1),
        (15, 4, 0),
        (13, 4, 0),
        (12, 3, 0),
        (8, 2, 0),
        (4, 1, 0),
        (1, 1, 0),
        (0, 0, 0),
    ],
)
def test_a_channel_may_hold_fewer_seats_when_few_are_free(free, quick, new):
    assert (quick_limit(free), new_limit(free)) == (quick, new)


@pytest.mark.parametrize(
    ("free", "held", "at_origin", "room"),
    [
        (128, 0, 0, 4),
        (124, 4, 4, 0),  # four at most
        (80, 0, 0, 3),
        (44, 0, 0, 1),
        (32, 0, 0, 1),
        (31, 0, 0, 0),
        # Other channels of its origin are slow as well.
        (121, 0, 7, 1),
        (120, 0, 8, 0),
        # Of an origin's last seats, none is for a channel that holds one.
        (122, 0, 6, 1),
        (122, 2, 6, 0),
    ],
)
def test_a_slow_channel_shares_a_few_seats_with_its_origin(free, held, at_origin, room):
    assert max(0, slow_room(free, held, at_origin)) == room


channels = st.lists(
    st.tuples(
        st.sampled_from(["quick", "new", "slow"]),
        st.integers(0, 12),  # the origin
        st.integers(1, 8),  # how many channels
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=25)
@given(channels, st.randoms(use_true_random=False))
def test_no_mixture_of_channels_takes_the_seats_that_are_kept_for_others(groups, rng):
    world = World()
    kinds = {}
    for kind, origin, count in groups:
        for _ in range(count):
            kinds[len(kinds)] = kind
            seconds = {"quick": 0.1, "new": None, "slow": 8.0}[kind]
            world.add(len(kinds) - 1, f"http://{origin}", seconds)
    assert all(world.room(channel_id) > 0 for channel_id in kinds)
    for _ in range(200):
        channel_id = rng.choice(list(kinds))
        origin = world.channels[channel_id].origin
        before = world.free
        if world.start(channel_id):
            least = {"quick": 1, "new": MIN_FREE_FOR_NEW, "slow": MIN_FREE_FOR_SLOW}
            assert before >= least[kinds[channel_id]]
        held_at = Counter(world.channels[seat.channel_id].origin for seat in world.in_flight)
        assert held_at[origin] <= MAX_SEATS * 2 // 3 + 1
        assert max(world.held().values()) <= 4


# --- channels that are slow, become slow, or are quick again ---


@pytest.mark.parametrize("seconds", [8.0, None])
@pytest.mark.parametrize("origins", [1, 3, 24, 200])
def test_slow_channels_leave_seats_to_others_whatever_their_number(world, seconds, origins):
    slow = [f"slow {number}" for number in range(200)]
    for number, name in enumerate(slow):
        world.add(name, f"http://slow-{number % origins}", seconds)
    world.fill(*slow)
    world.add("quick", "http://quick", 0.1)
    assert world.room("quick") == 4
    if seconds:
        assert world.room("never seen") == 1


def test_an_origin_has_a_few_seats_for_all_its_slow_channels(world):
    for number in range(50):
        world.add(number, "http://slow", 8.0)
    world.fill(*range(50))
    assert len(world.in_flight) == MAX_SLOW_AT_ORIGIN
    world.add("quick", "http://slow", 0.1)
    assert world.room("quick") == 4
    world.add("new", "http://slow")
    assert world.room("new") == 1


def test_an_origin_that_is_quick_has_two_thirds_of_the_seats(world):
    for number in range(50):
        world.add(number, "http://hooks", 0.1)
    world.fill(*range(50))
    assert len(world.in_flight) == MAX_SEATS * 2 // 3 + 1


def test_quick_channels_that_become_slow_together_leave_seats(world):
    for number in range(40):
        world.add(number, f"http://{number}", 0.1)
    world.fill(*range(40))
    world.now += MAX_QUICK_SECONDS + 0.1
    world.fill(*range(40))
    world.add("quick", "http://quick", 0.1)
    assert world.room("quick") > 1


def test_a_channel_is_slow_as_soon_as_one_attempt_takes_long(world):
    world.add("a", "http://a", 0.1)
    assert world.start("a")
    assert world.room("a") == 3
    for number in range(40):
        world.add(number, f"http://{number}", 8.0)
    world.fill(*range(40))
    world.now += MAX_QUICK_SECONDS + 0.1
    assert world.room("a") <= 0


def test_a_slow_channel_that_is_quick_once_is_quick_again(world):
    world.add("a", "http://a", 8.0)
    for number in range(100):
        world.add(number, f"http://{number}", 8.0)
    world.fill(*range(100))
    assert world.room("a") == 0
    world.record("a", 0.1)
    assert world.room("a") == 4


def test_a_new_channel_has_one_seat_until_its_first_attempt_ends(world):
    world.add("a", "http://a")
    assert world.start("a")
    assert world.room("a") == 0
    world.finish("a", 0.1)
    assert world.room("a") == 4


def test_a_new_channel_that_is_slow_counts_as_slow_before_its_attempt_ends(world):
    for number in range(20):
        world.add(number, "http://slow")
    world.fill(*range(20))
    world.add("known", "http://slow", 8.0)
    assert world.room("known") > 0
    world.now += MAX_QUICK_SECONDS + 0.1
    assert world.room("known") <= 0


def test_a_busy_slow_channel_leaves_seats_to_the_others_of_its_origin(world):
    for name in ("busy", "other"):
        world.add(name, "http://slow", 8.0)
    world.fill("busy")
    assert world.held()["busy"] <= 4
    assert world.room("other") > 0


def test_slow_channels_share_the_seats_evenly(world):
    for number in range(20):
        world.add(number, f"http://{number}", 8.0)
    world.fill(*range(20))
    assert max(world.held().values()) - min(world.held().values()) <= 1


def test_a_channel_that_was_deleted_in_flight_takes_its_seat_until_the_end(world):
    world.add("a", "http://a", 8.0)
    assert world.start("a")
    del world.channels["a"]
    assert world.room("b") == 1
    assert world.free == MAX_SEATS - 1


def test_an_unreachable_channel_has_one_seat(world):
    world.add("a", "http://a", 0.1)
    for _ in range(2):
        world.record("a", 0.001, Reason.CONNECT_REFUSED)
    assert world.start("a")
    assert world.room("a") == 0
