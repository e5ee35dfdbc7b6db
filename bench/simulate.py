"""What 1,000 channels and 10,000 alerts a second need, by a simulation of Tocsin.

It runs no Tocsin: `parts/model.py` is fed with the measured costs below. The seed is fixed, so that
two runs print the same. Delays include the receiver's own time; "needed" is the number of
installations of this kind, each with its own database, for all alerts.
"""

import math
import random
from typing import NamedTuple

from parts.figures import percentile
from parts.model import PER_POST, Costs, Model, SetUp

Table = dict[tuple[int, int], Costs]

CHANNELS = 1000
ALERTS = 10_000  # a second

# Microseconds of CPU, by `bench/costs.py` and `bench/costs.py postgresql` on 27 November 2026: 2
# cores with other work on them, the lower of two runs. The key says how many channels get an alert,
# of how many. `send` is the CPU of a worker for a delivery without its transactions, `look` that of
# `outbox.next_due`, twice. Commits are times of a clock. Not measured, but taken from the line next
# to it: `send` with 1,000 channels, and with PostgreSQL `parse`, `send`, `look` and, with 10 of
# 1,000 channels, claims and results.
#                     parse store  claim of 8, 256   results of 8, 256  send  look  commits
SQLITE = {
    (1, 1): Costs(100, 176, (3068, 37858), (1708, 29683), 816, 20, 740, 83),
    (3, 3): Costs(100, 256, (1613, 27953), (978, 26179), 1104, 20, 740, 83),
    (100, 100): Costs(100, 6089, (3637, 33830), (1818, 27031), 1537, 220, 740, 83),
    (1, 1000): Costs(100, 2844, (4735, 38802), (1334, 25810), 1537, 1210, 740, 83),
    (10, 1000): Costs(100, 2130, (3957, 43247), (1233, 32603), 1537, 1210, 740, 83),
}
POSTGRESQL = {
    (1, 1000): Costs(100, 3044, (17248, 90377), (7648, 221763), 1537, 1126, 4484, 970),
    (10, 1000): Costs(100, 3381, (22016, 70322), (7648, 221763), 1537, 1126, 4484, 970),
}
# The same if the matchers had an index, and nothing looked at all channels: then 1,000 channels
# cost what 1 does (claims and results of PostgreSQL: what 3 do).
SQLITE_IF = {(1, 1000): SQLITE[1, 1]}
POSTGRESQL_IF = {
    (1, 1000): Costs(100, 558, (14260, 70813), (5765, 79775), 1104, 20, 4484, 970),
}
# Alerts that come at once, and their deliveries a second to a sink on the same cores:
# docs/benchmarks.md.
MEASURED = {(1, 1): (10_000, 1254), (3, 3): (3000, 1299), (100, 100): (100, 952)}

RECEIVER_MEDIAN = 0.08  # seconds: a webhook of a chat service in the same part of the world
RECEIVER_SPREAD = 0.7  # of the logarithm: 5 % take longer than 0.25 s, 1 % longer than 0.4 s
SINK_SECONDS = 0.0005  # of the sink of docs/benchmarks.md
SQLITE_CORES = (2, 4, 8)
MACHINES = (1, 4)
POSTGRESQL_CORES = 4  # of each machine that runs Tocsin; the server has one of its own

SECONDS = 5.0  # of a run that looks for the limit, after as many to warm up
LONG_SECONDS = 8.0  # of a run whose figures are printed
PRECISION = 0.1
SHARE = 0.8  # of the limit, for the delays
MAX_GROWTH = 0.03  # of what arrives
MAX_WAIT = 3.0  # seconds of arrivals that may wait at the limit
MIN_POSTS = 40


class Row(NamedTuple):
    """The figures of a set-up."""

    limit: float  # deliveries a second that it keeps up with
    delays: list[float]  # p50, p95, p99 at a share of the limit
    delivered: float  # a second, at the load that is asked for
    growth: float  # of what waits, deliveries a second, at that load


def main() -> None:
    check_model()
    print(f"\n{ALERTS:,} alerts a second for all {CHANNELS:,} channels are 10 million messages a")
    print("second. No receiver of webhooks takes them: that is not simulated.")
    print_table(1, "as measured", SQLITE, POSTGRESQL)
    print_table(10, "as measured", SQLITE, POSTGRESQL)
    print_table(1, "if channels that get nothing cost nothing", SQLITE_IF, POSTGRESQL_IF)


def check_model() -> None:
    """Print what the model says about the work of docs/benchmarks.md, and what was measured."""
    for (matched, channels), (alerts, measured) in MEASURED.items():
        setup = SetUp("compare", 1, 2, 2, 2, False, channels, lambda _rng: SINK_SECONDS)
        seconds = Model(setup, SQLITE[matched, channels], matched).drain(alerts)
        print(f"{alerts:,} alerts to {channels} channels, two senders, 2 cores: ", end="")
        print(f"{alerts * matched / seconds:,.0f} deliveries a second, {measured:,} were measured")


def print_table(per_alert: int, name: str, sqlite: Table, postgresql: Table) -> None:
    """Print the figures of all set-ups, with one sender a core."""
    wanted = ALERTS * per_alert
    print(f"\n{per_alert} of {CHANNELS:,} channels for each alert, {name}: ", end="")
    print(f"{wanted:,} deliveries a second are wanted\n")
    print("| set-up | keeps up with | p50 / p95 / p99 at 80 % of it | at full load | needed |")
    print("| --- | --- | --- | --- | --- |")
    for cores in SQLITE_CORES:
        setup = SetUp(f"SQLite, {cores} cores", 1, cores, 2, cores, False, CHANNELS, respond)
        report(setup, sqlite[per_alert, CHANNELS], per_alert)
    for machines in MACHINES:
        cores = POSTGRESQL_CORES
        name = f"PostgreSQL, {machines} × {cores} cores"
        setup = SetUp(name, machines, cores, 2, cores, True, CHANNELS, respond)
        report(setup, postgresql[per_alert, CHANNELS], per_alert)


def report(setup: SetUp, costs: Costs, per_alert: int) -> None:
    """Print the line of a set-up."""
    row = measure(setup, costs, per_alert)
    delays = " / ".join(f"{delay * 1000:,.0f}" for delay in row.delays)
    needed = math.ceil(ALERTS * per_alert / row.limit)
    print(f"| {setup.name} | {row.limit:,.0f}/s | {delays} ms | {row.delivered:,.0f}/s, ", end="")
    print(f"+ {row.growth:,.0f} wait each second | {needed:,} |", flush=True)


def measure(setup: SetUp, costs: Costs, per_alert: int) -> Row:
    """Return the figures of a set-up."""
    limit = find_limit(setup, costs, per_alert)
    counts = Model(setup, costs, per_alert).run(limit * SHARE, LONG_SECONDS)
    delays = [percentile(counts.delays, percent) for percent in (50, 95, 99)]
    full = Model(setup, costs, per_alert).run(ALERTS, SECONDS)
    return Row(limit * per_alert, delays, full.delivered / SECONDS, full.waiting / SECONDS)


def find_limit(setup: SetUp, costs: Costs, per_alert: int) -> float:
    """Return the highest rate of alerts a second that the set-up keeps up with."""
    low = 1.0
    high = float(ALERTS)
    while high - low > PRECISION * low:
        rate = math.sqrt(low * high)
        if keeps_up(setup, costs, per_alert, rate):
            low = rate
        else:
            high = rate
    return low


def keeps_up(setup: SetUp, costs: Costs, per_alert: int, rate: float) -> bool:
    """Return True if what waits is little, and does not grow."""
    model = Model(setup, costs, per_alert)
    seconds = max(SECONDS, MIN_POSTS * PER_POST / rate)
    each_second = rate * per_alert
    post = PER_POST * per_alert
    before = model.run(rate, seconds).waiting
    if before > MAX_WAIT * each_second + post:
        return False
    after = model.continue_for(seconds).waiting
    return after - before < MAX_GROWTH * each_second * seconds + post


def respond(rng: random.Random) -> float:
    """Return the seconds until a receiver responds."""
    return RECEIVER_MEDIAN * math.exp(rng.gauss(0, RECEIVER_SPREAD))


if __name__ == "__main__":
    main()
