"""A replay of 100,000 deliveries: the question, progress, new alerts beside it, and a `kill -9`.

Everything is delivered once. Then the receiver has lost it, and a replay since an hour sends it
again, while a new alert comes every second and a worker is killed once. `replay.py 5000` replays
fewer.
"""

import os
import signal
import sys
import threading
import time
from http.client import HTTPConnection

from backlog import drain, post_alerts
from parts.alerts import post
from parts.figures import figure, percentile, summary
from parts.sink import Sink, receiving
from parts.tocsin import Browser, Live, running
from processes import workers_of

REPLAYED = 100_000
INTERVAL = 1.0  # seconds between new alerts
NEW = 10_000_000  # the number of the first new alert
KILLED_AFTER = 5.0  # seconds
IN_FLIGHT = 256  # deliveries of a worker
MAX_SECONDS = 600
QUESTION = "/deliveries/replay?since=1h"


def main(replayed: int = REPLAYED) -> None:
    with receiving() as sink, running() as live:
        browser = Browser(live.port)
        browser.create_channel(sink.url(0))
        post_alerts(live, replayed)
        drain(sink, live, replayed)
        time.sleep(2)  # the last results are stored
        sink.reset()
        began = time.monotonic()
        browser = browser.another()  # Tocsin has ended the idle connection
        browser.get(QUESTION)
        figure("question", time.monotonic() - began, "s", 2)
        replay = browser.post("/deliveries/replay", {"since": "1h", "choice": "all"}, 303)
        posted = replay_and_post(sink, live, browser, replay, replayed)
        report(sink, posted, replayed)


def replay_and_post(
    sink: Sink, live: Live, browser: Browser, replay: str, replayed: int
) -> dict[int, int]:
    """Wait for a replay beside new alerts and a kill; return when each new alert was posted."""
    posted: dict[int, int] = {}
    stop = threading.Event()
    pages: list[float] = []
    thread = threading.Thread(target=post_new, args=(live, stop, posted))
    thread.start()
    killer = threading.Timer(KILLED_AFTER, kill_worker, (live,))
    killer.start()
    began = time.monotonic()
    page = ""
    while 'data-state="done"' not in page or sink.count().distinct < replayed:
        start = time.monotonic()
        page = browser.get(replay)
        pages.append((time.monotonic() - start) * 1000)
        assert time.monotonic() - began < MAX_SECONDS, page[-2000:]
        time.sleep(0.5)
    seconds = time.monotonic() - began
    stop.set()
    thread.join()
    figure("replayed", replayed / seconds, "deliveries a second", places=0)
    figure("page of its progress, p95", percentile(pages, 95), "ms", 50)
    return posted


def post_new(live: Live, stop: threading.Event, posted: dict[int, int]) -> None:
    """Post a new alert every second."""
    headers = {**live.create_token("new alerts"), "Content-Type": "application/json"}
    while not stop.wait(INTERVAL):
        number = NEW + len(posted)
        connection = HTTPConnection("127.0.0.1", live.port, timeout=20)
        post(connection, headers, {"name": f"bench-alert-{number}", "status": "open"})
        posted[number] = time.monotonic_ns()
        connection.close()


def kill_worker(live: Live) -> None:
    """Kill one of the workers."""
    os.kill(workers_of(live.process.pid)[0], signal.SIGKILL)


def report(sink: Sink, posted: dict[int, int], replayed: int) -> None:
    """Print how long new alerts took, and what was lost or repeated."""
    time.sleep(3)
    arrivals = {key.split()[1]: at for key, at in sink.arrivals().items()}
    delays = []
    for number, at in posted.items():
        delays.append((arrivals[str(number)] - at) / 1e6)
    figure("new alerts beside it, p95", percentile(delays, 95), "ms", 1000)
    print(f"  {summary(delays)}")
    count = sink.count()
    figure("lost", replayed + len(posted) - count.distinct, "deliveries", 0, places=0)
    repeated = count.requests - count.distinct
    figure("repeated after the kill", repeated, "deliveries", IN_FLIGHT, places=0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
