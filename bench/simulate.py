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
    (1, 1): Costs(100, 176, (3831, 58647), (2280, 36562), 1240, 20, 748, 83),
    (3, 3): Costs(100, 256, (4744, 51517), (1884, 32549), 1240, 20, 748, 83),
    (100, 100): Costs(100, 6089, (7950, 40483), (1818, 36477), 1150, 220, 748, 83),
    (1, 1000): Costs(100, 2844, (17101, 56405), (1334, 32491), 1150, 2200, 748, 83),
    (10, 1000): Costs(100, 2130, (20164, 45293), (1411, 32603), 1150, 2200, 748, 83),
}
POSTGRESQL = {
    (1, 1000): Costs(100, 3044, (48617, 145047), (7648, 221763), 1150, 2200, 4484, 1062),
    (10, 1000): Costs(100, 4248, (48617, 145047), (7648, 221763), 1150, 2200, 4484, 1062),
}
# The same if the matchers had an index, and a claim read only the channels of which it takes some:
# then 1,000 channels cost what 1 does (claims and results of PostgreSQL: what 3 do).
SQLITE_IF = {(1, 1000): SQLITE[1, 1]}
POSTGRESQL_IF = {
    (1, 1000): Costs(100, 622, (13800, 54895), (5765, 79775), 1150, 20, 4484, 1062),
}
# The other work made that CPU slower: a delivery needed 998 to 1,137 µs in docs/benchmarks.md, and
# here 1.3 to 2.1 times that. This is the middle, and a choice: measure again on a quiet machine,
# and set it to 1.
SLOWDOWN = 1.7
# Alerts that come at once, and their deliveries a second to a sink on the same cores:
# docs/benchmarks.md.
MEASURED = {(1, 1): (10_000, 1086), (3, 3): (3000, 939), (100, 100): (100, 868)}

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
        setup = SetUp("compare", 1, 2, 2, 1, False, channels, lambda _rng: SINK_SECONDS)
        seconds = Model(setup, SQLITE[matched, channels].divided(SLOWDOWN), matched).drain(alerts)
        print(f"{alerts:,} alerts to {channels} channels, one sender, 2 cores: ", end="")
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
    row = measure(setup, costs.divided(SLOWDOWN), per_alert)
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
