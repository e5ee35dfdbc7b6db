"""Build the message of a group of 200 alerts for every kind, and measure how long it takes."""

import time

import parts.tocsin  # noqa: F401 (sets the path)
from kind_support import AT, channel_of
from parts.figures import figure

from delivery.alerts.alert import Alert
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import write_body

SIZE = 200
ROUNDS = 20
MAX_MS = 20.0


def main() -> None:
    installation = Installation("bench", "https://tocsin.example")
    slowest = 0.0
    for name in kinds():
        channel = channel_of(name)
        times = sorted(timed_build(channel, installation) for _ in range(ROUNDS))
        median = times[len(times) // 2]
        figure(f"{name}, a group of {SIZE}, median", median, "ms", places=1)
        slowest = max(slowest, median)
    figure(f"a group of {SIZE}, slowest kind", slowest, "ms", MAX_MS, places=1)


def timed_build(channel, installation: Installation) -> float:
    """Return the milliseconds that the message of a group took, from its events to its body."""
    events = [Event(alert(number), number, AT) for number in range(SIZE)]
    began = time.perf_counter()
    write_body(text_of_group(events, "bench", channel, installation))
    return (time.perf_counter() - began) * 1000


def alert(number: int) -> Alert:
    severity = ("critical", "warning", "info")[number % 3]
    return Alert.from_json(
        {
            "id": str(number),
            "name": f"Rule{number % 7}",
            "labels": {"severity": severity, "instance": f"db-{number}", "cluster": "eu"},
            "annotations": {"summary": f"The load of db-{number} is {number} on 16 cores"},
            "starts_at": AT - number * 1000,
            "url": f"https://prometheus.example/graph?g0.expr=load_{number}",
        }
    )


if __name__ == "__main__":
    main()
