"""Measures and prints: one figure a line, beside its target."""

import statistics
import time
from collections.abc import Callable, Sequence


def figure(
    name: str,
    value: float,
    unit: str,
    target: float | None = None,
    places: int = 1,
    least: bool = False,
) -> None:
    """Prints a figure; `target` is the most that it may be, or the least where `least` is set."""
    met = target is None or (value >= target if least else value <= target)
    beside = (
        ""
        if target is None
        else f" (target {'≥' if least else '≤'} {target:g} {unit})  {'ok' if met else 'MISSED'}"
    )
    print(f"{name}: {value:.{places}f} {unit}{beside}", flush=True)


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(values: Sequence[float], unit: str = "ms") -> str:
    """The whole picture behind a p95."""
    return f"n {len(values)}, p50 {statistics.median(values):.1f}, p99 {percentile(values, 99):.1f}, max {max(values):.1f} {unit}"


def steadily(request: Callable[[], object], every: float, count: int) -> list[float]:
    """Runs `request` at fixed moments, `every` seconds apart; the milliseconds each took, from the moment it was due.

    A slow one makes the next ones late, and their wait counts: nothing is left out because the server was busy.
    """
    took, first = [], time.perf_counter() + every
    for number in range(count):
        due = first + number * every
        late = time.perf_counter() >= due
        if not late:
            time.sleep(due - time.perf_counter())
        began = due if late else time.perf_counter()
        request()
        took.append((time.perf_counter() - began) * 1000)
    return took
