"""The simulation of bench/simulate.py: it loses nothing, and agrees with known results."""

import random
import statistics

import pytest

from bench.parts.events import Events, Process, Servers
from bench.parts.model import MAX_SEATS, Costs, Model, SetUp, interpolate

FREE = Costs(0, 0, (0, 0), (0, 0), 0, 0, 0, 0)


def setup(machines=1, cores=4, senders=1, is_shared=False, seconds=0.01):
    return SetUp("test", machines, cores, 2, senders, is_shared, 1000, lambda _rng: seconds)


def test_events_run_in_the_order_of_their_times():
    events = Events()
    seen = []
    for seconds in (3, 1, 2, 1):
        events.after(seconds, lambda at=seconds: seen.append((at, events.now)))
    events.run_until(2.5)
    assert seen == [(1, 1), (1, 1), (2, 2)]
    assert events.now == 2.5


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_the_wait_for_one_server_is_that_of_m_d_1(load):
    events = Events()
    server = Servers(events, 1)
    rng = random.Random(5)
    waits = []

    def arrive():
        arrived_at = events.now
        server.serve(1.0, lambda: waits.append(events.now - arrived_at - 1.0))
        events.after(rng.expovariate(load), arrive)

    arrive()
    events.run_until(60_000)
    # Pollaczek and Khinchine: with constant service, the mean wait is load / (2 (1 - load)).
    assert statistics.mean(waits) == pytest.approx(load / (2 * (1 - load)), rel=0.05)


def test_a_process_uses_one_core_and_processes_share_them():
    events = Events()
    cores = Servers(events, 2)
    ends = []
    one = Process(events, cores)
    for _ in range(2):
        one.compute(1.0, lambda: ends.append(events.now))
    for _ in range(2):
        Process(events, cores).compute(1.0, lambda: ends.append(events.now))
    events.run_until(10)
    assert ends == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("rate", [100, 2000])
@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("per_alert", [1, 10])
def test_what_arrived_is_delivered_or_waits(rate, is_shared, per_alert):
    costs = Costs(100, 200, (2000, 30_000), (1000, 20_000), 700, 0, 800, 100)
    model = Model(setup(2, 2, 2, is_shared), costs, per_alert)
    for _ in range(5):
        counts = model.run(rate, 1.0) if not model.counts.arrived else model.continue_for(1.0)
        assert counts.arrived == counts.delivered + counts.waiting
        assert len(counts.delays) == counts.delivered
        assert min(counts.at_sources, counts.pending, counts.in_flight) >= 0
    assert counts.delivered


def test_without_costs_a_delivery_takes_as_long_as_its_receiver():
    counts = Model(setup(seconds=0.25), FREE, 1).run(100, 20)
    assert counts.delays
    assert counts.delays == pytest.approx([0.25] * counts.delivered)
    assert counts.waiting <= 3 * 50  # those of the last quarter of a second


def test_a_saturated_sender_delivers_as_fast_as_its_cpu_allows():
    costs = Costs(0, 0, (0, 0), (0, 0), 1000, 0, 0, 0)
    counts = Model(setup(), costs, 1).run(5000, 10)
    assert counts.delivered / 10 == pytest.approx(1000, rel=0.02)
    assert counts.waiting / 10 == pytest.approx(4000, rel=0.1)


def test_alerts_that_come_at_once_are_delivered_one_after_another():
    costs = Costs(0, 0, (0, 0), (0, 0), 1000, 0, 0, 0)
    model = Model(setup(seconds=0.05), costs, 4)
    assert model.drain(1000) == pytest.approx(4.05, rel=0.01)
    assert (model.counts.arrived, model.counts.delivered) == (4000, 4000)


def test_a_slow_receiver_is_limited_by_the_seats_of_the_senders():
    counts = Model(setup(senders=2, seconds=1.0), FREE, 1).run(5000, 20)
    assert counts.delivered / 20 == pytest.approx(2 * MAX_SEATS, rel=0.1)


def test_one_transaction_at_a_time_limits_any_number_of_machines():
    costs = Costs(0, 1000, (0, 0), (0, 0), 0, 0, 0, 0)
    for machines in (1, 8):
        counts = Model(setup(machines, is_shared=True), costs, 1).run(5000, 10)
        stored = counts.arrived - counts.at_sources
        assert stored / 10 == pytest.approx(1000, rel=0.05)


def test_two_runs_with_one_seed_are_the_same():
    costs = Costs(100, 200, (2000, 30_000), (1000, 20_000), 700, 0, 800, 100)
    first, second = (Model(setup(), costs, 3).run(300, 5) for _ in range(2))
    assert first == second


def test_the_cost_of_a_transaction_grows_with_its_size():
    costs = (800, 13_200)
    assert interpolate(costs, 8) == 800
    assert interpolate(costs, 256) == 13_200
    assert interpolate(costs, 132) == 7000
    assert interpolate(costs, 1) == 450
