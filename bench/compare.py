"""Tocsin beside Alertmanager, a bare loop of `requests` and a task queue, on the same work.

Every run starts a system anew, warms it up, and brings in alerts that all go to every channel. The
rate lasts from the first post to the last delivery at the sink; the CPU time is that of all
processes of the system, what comes in included, until every result is stored. The systems take
turns, and the figures are medians. The last lines are the tables of `docs/benchmarks.md`.
"""

import argparse
import itertools
import os
import platform
import socket
import statistics
import time
from typing import NamedTuple

from parts import sink as sinks
from parts.driver import message, post
from parts.figures import figure, percentile
from parts.peers import PEERS, System, missing
from parts.sink import Sink
from parts.usage import cpu_seconds

RUNS = 5
WARM_UP = 20  # alerts
MAX_SECONDS = 120
SINK_REQUESTS = 20_000
LATENCY_RATE = 100  # alerts a second
LATENCY_SECONDS = 20
LATENCY_TARGETS = {50: 2.5, 95: 4.0, 99: 8.0}
RATIO_TARGETS = {"alertmanager": 0.7, "loop": 3.0}
CPU_TARGET = 0.6  # of the loop's


class Scenario(NamedTuple):
    """Alerts that all go to every channel."""

    alerts: int
    channels: int

    def __str__(self) -> str:
        return f"{self.alerts:,} alerts to {self.channels}"


class Measured(NamedTuple):
    """Deliveries a second, and microseconds of CPU a delivery."""

    rate: float
    cpu: float


SCENARIOS = (Scenario(10_000, 1), Scenario(3_000, 3), Scenario(100, 100))
Results = dict[Scenario, dict[str, Measured]]


def main() -> None:
    options = read_options()
    with sinks.receiving() as sink:
        measure_sink(sink)
        results: Results = {}
        for scenario in SCENARIOS:
            results[scenario] = compare(sink, scenario, options.only, options.runs)
        latencies = [
            (peer, latency(sink, peer))
            for peer in options.only
            if peer in ("tocsin", "alertmanager") and not options.no_latency
        ]
    print_targets(results, dict(latencies))
    print_tables(results, latencies)


def read_options() -> argparse.Namespace:
    """Return the options of the command line, without the systems that are not installed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each system; default {RUNS}")
    parser.add_argument("--only", default="tocsin,alertmanager,loop,huey", help=", ".join(PEERS))
    parser.add_argument("--no-latency", action="store_true", help="leave the last part out")
    options = parser.parse_args()
    chosen = options.only.split(",")
    for peer in set(chosen) - set(PEERS):
        parser.error(f"there is no system {peer!r}")
    for sentence in filter(None, map(missing, chosen)):
        print(sentence)
    options.only = [peer for peer in chosen if not missing(peer)]
    return options


def measure_sink(sink: Sink) -> None:
    """Print how many requests one raw socket makes in a second, and what they cost the sink."""
    body = message(0)
    head = f"POST /hooks/raw HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    before = cpu_seconds([sink.pid])
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", sink.port)) as connection:
        for _ in range(SINK_REQUESTS):
            post(connection, request)
    rate = SINK_REQUESTS / (time.monotonic() - began)
    cpu = (cpu_seconds([sink.pid]) - before) / SINK_REQUESTS
    figure("the sink, to one raw socket", rate, "requests a second", places=0)
    figure("the sink, CPU a request", cpu * 1e6, "µs", places=0)


def compare(sink: Sink, scenario: Scenario, peers: list[str], runs: int) -> dict[str, Measured]:
    """Return the medians of all systems, which take turns."""
    measured: dict[str, list[Measured]] = {peer: [] for peer in peers}
    for _, peer in itertools.product(range(runs), peers):
        result = measure(sink, scenario, peer)
        measured[peer].append(result)
        print(f"  {scenario}, {peer}: {result.rate:.0f}/s, {result.cpu:.0f} µs", flush=True)
    return {peer: median(results) for peer, results in measured.items()}


def median(results: list[Measured]) -> Measured:
    """Return the median rate and the median CPU time."""
    return Measured(*map(statistics.median, zip(*results, strict=True)))


def measure(sink: Sink, scenario: Scenario, peer: str) -> Measured:
    """Return the figures of one run of a system."""
    with PEERS[peer](sink, scenario.channels) as system:
        warm_up(sink, system, scenario.channels)
        system.driver.prepare(WARM_UP, scenario.alerts)
        before = cpu_seconds(system.pids)
        began = system.driver.go()
        deliveries = scenario.alerts * scenario.channels
        count = sink.wait_for(deliveries, MAX_SECONDS)
        system.settle()
        cpu = (cpu_seconds(system.pids) - before) / deliveries
        assert sink.count().requests == deliveries, "a delivery was repeated"
    return Measured(deliveries / (count.last_ns - began) * 1e9, cpu * 1e6)


def warm_up(sink: Sink, system: System, channels: int) -> None:
    """Deliver a few alerts to every channel."""
    sink.reset()
    system.driver.prepare(0, WARM_UP)
    system.driver.go()
    sink.wait_for(WARM_UP * channels, MAX_SECONDS)
    system.settle()
    sink.reset()


def latency(sink: Sink, peer: str) -> list[float]:
    """Return the milliseconds from when each alert was due until it was at the sink."""
    with PEERS[peer](sink, 1) as system:
        warm_up(sink, system, 1)
        count = LATENCY_RATE * LATENCY_SECONDS
        system.driver.prepare(WARM_UP, count, LATENCY_RATE)
        began = system.driver.go()
        sink.wait_for(count, MAX_SECONDS)
        times = sink.arrivals()
    delays = []
    for key, at in times.items():
        due = began + (int(key.split()[-1]) - WARM_UP) * 1e9 / LATENCY_RATE
        delays.append((at - due) / 1e6)
    return delays


def print_targets(results: Results, latencies: dict[str, list[float]]) -> None:
    """Print the figures that have a target."""
    for scenario, by_peer in results.items():
        ours = by_peer.get("tocsin")
        for peer, target in RATIO_TARGETS.items():
            if ours and peer in by_peer:
                ratio = ours.rate / by_peer[peer].rate
                figure(f"{scenario}: Tocsin / {peer}", ratio, "×", target, 2, at_least=True)
        if ours and "loop" in by_peer:
            ratio = ours.cpu / by_peer["loop"].cpu
            figure(f"{scenario}: CPU a delivery / loop", ratio, "×", CPU_TARGET, 2)
    for percent, target in LATENCY_TARGETS.items():
        if "tocsin" in latencies:
            delay = percentile(latencies["tocsin"], percent)
            figure(f"p{percent} at {LATENCY_RATE} alerts/s", delay, "ms", target)


def print_tables(results: Results, latencies: list[tuple[str, list[float]]]) -> None:
    """Print all figures as tables in Markdown."""
    print(f"\n{time.strftime('%-d %B %Y')}, {machine()}\n")
    print("| alerts to channels | system | deliveries/s | Tocsin is | CPU µs a delivery |")
    print("| --- | --- | --- | --- | --- |")
    for scenario, by_peer in results.items():
        for peer, (rate, cpu) in by_peer.items():
            ratio = by_peer["tocsin"].rate / rate if "tocsin" in by_peer else 0
            cells = (
                scenario,
                peer,
                f"{rate:,.0f}",
                f"{ratio:.2f} ×" if ratio else "",
                f"{cpu:.0f}",
            )
            print("| " + " | ".join(map(str, cells)) + " |")
    if latencies:
        print(f"\n| {LATENCY_RATE} alerts/s, milliseconds | p50 | p95 | p99 |")
        print("| --- | --- | --- | --- |")
    for peer, delays in latencies:
        cells = (f"{percentile(delays, percent):.1f}" for percent in LATENCY_TARGETS)
        print(f"| {peer} | {' | '.join(cells)} |")


def machine() -> str:
    """Return cores, kernel and Python of this machine."""
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
