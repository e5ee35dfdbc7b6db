"""Measure durations and print figures with their targets, one a line."""

import math
import statistics
import time
from collections.abc import Callable, Sequence


def figure(
    name: str,
    value: float,
    unit: str,
    target: float | None = None,
    places: int = 1,
    at_least: bool = False,
) -> None:
    """Print a figure and whether it meets its target.

    The target is an upper limit; with `at_least` it is a lower limit.
    """
    line = f"{name}: {value:.{places}f} {unit}"
    if target is not None:
        met = value >= target if at_least else value <= target
        sign = "≥" if at_least else "≤"
        line += f" (target {sign} {target:g} {unit})  {'ok' if met else 'MISSED'}"
    print(line, flush=True)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed."""
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(0, rank - 1)]


def summary(values: Sequence[float], unit: str = "ms") -> str:
    """Return count, median, p99 and maximum in one line."""
    median = statistics.median(values)
    p99 = percentile(values, 99)
    return f"n {len(values)}, p50 {median:.1f}, p99 {p99:.1f}, max {max(values):.1f} {unit}"


def run_at_intervals(request: Callable[[], object], interval: float, count: int) -> list[float]:
    """Return the milliseconds of each request, sent `interval` seconds apart.

    A request is measured from the time it is due. A slow request delays the next ones, and
    their delay counts: nothing is left out because the server was busy.
    """
    durations = []
    first = time.perf_counter() + interval
    for number in range(count):
        start = first + number * interval
        delay = start - time.perf_counter()
        if delay > 0:
            time.sleep(delay)
            start = time.perf_counter()
        request()
        durations.append((time.perf_counter() - start) * 1000)
    return durations


def plain_python() -> None:
    """Do work of a fixed size, without Tocsin and network.

    If it takes longer than usual, the machine is busy.
    """
    sum(number * number for number in range(20_000))
