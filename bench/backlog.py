"""A backlog of 200,000 deliveries: memory of all processes, and deliveries that are repeated.

Twenty paused channels get 10,000 alerts each. Then they are resumed, and the backlog is delivered.
The memory is the proportional set size (PSS) of Tocsin's processes, in which shared pages count
once, measured twice a second. `backlog.py 20000` measures with a smaller backlog.
"""

import sys
import time

from parts.figures import figure
from parts.peers import driving
from parts.sink import Sink, receiving
from parts.tocsin import Browser, Live, rows, running
from parts.usage import pss_megabytes

BACKLOG = 200_000
CHANNELS = 20
INTERVAL = 0.5  # seconds
STALLED_SECONDS = 60
TARGET_MB = 250
_WAITING = "SELECT count(*) FROM delivery WHERE state NOT IN ('delivered', 'accepted')"


def main(backlog: int = BACKLOG) -> None:
    with receiving() as sink, running() as live:
        browser = Browser(live.port)
        channels = []
        for number in range(CHANNELS):
            channel = browser.create_channel(sink.url(number), name=f"Channel {number}")
            browser.post(f"/channels/{channel}/pause", expect=303)
            channels.append(channel)
        figure("memory when idle (PSS)", pss_megabytes(live.process.pid), "MB")
        post_alerts(live, backlog // CHANNELS)
        figure("backlog", waiting(live), "deliveries", backlog, places=0, at_least=True)
        figure("memory with the backlog (PSS)", pss_megabytes(live.process.pid), "MB", TARGET_MB)
        browser = browser.another()  # Tocsin has ended the idle connection
        began = time.monotonic()
        for channel in channels:
            browser.post(f"/channels/{channel}/resume", expect=303)  # and send all
        highest = drain(sink, live, backlog)
        seconds = time.monotonic() - began
        figure("highest memory while it is delivered (PSS)", highest, "MB", TARGET_MB)
        figure("delivered", backlog / seconds, "a second", places=0)
        time.sleep(INTERVAL)
        figure("not settled", waiting(live), "deliveries", 0, places=0)
        count = sink.count()
        figure("repeated", count.requests - count.distinct, "deliveries", 0, places=0)


def post_alerts(live: Live, count: int) -> None:
    """Post alerts, 50 in a request."""
    token = live.create_token()["Authorization"].removeprefix("Bearer ")
    with driving("post", str(live.port), "/api/v1/alerts", token) as driver:
        driver.prepare(0, count)
        driver.go()


def waiting(live: Live) -> int:
    """Return how many deliveries have not ended."""
    return rows(live, _WAITING)[0][0]


def drain(sink: Sink, live: Live, backlog: int) -> float:
    """Wait until everything is delivered; return the most memory that was in use.

    Raises:
        AssertionError: Nothing arrives any more.
    """
    highest = 0.0
    seen = 0
    seen_at = time.monotonic()
    while (arrived := sink.count().distinct) < backlog:
        highest = max(highest, pss_megabytes(live.process.pid))
        if arrived > seen:
            seen = arrived
            seen_at = time.monotonic()
        assert time.monotonic() - seen_at < STALLED_SECONDS, f"stalled after {arrived} deliveries"
        time.sleep(INTERVAL)
    return highest


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
