"""Pages while deliveries run at full speed, compared with the same pages of an idle Tocsin.

A driver keeps a few thousand deliveries waiting for three channels, whose receiver responds at
once. The ratio is that of the p95 of each page, at ten requests a second.
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from parts.driver import Driver
from parts.figures import figure, percentile, run_at_intervals, summary
from parts.peers import driving
from parts.sink import Sink, receiving
from parts.tocsin import Browser, running

CHANNELS = 3
INTERVAL = 1 / 10
REQUESTS = 80
WARM_UP = 10
BATCH = 500  # alerts
MAX_WAITING = 6000  # deliveries
POLL_SECONDS = 0.1
TARGET = 2.0


def main() -> None:
    with receiving() as sink, running() as live:
        browser = Browser(live.port)
        channels = [
            browser.create_channel(sink.url(number), name=f"Channel {number}")
            for number in range(CHANNELS)
        ]
        token = live.create_token()["Authorization"].removeprefix("Bearer ")
        pages = ("/channels", f"/channels/{channels[0]}/edit", "/deliveries")
        with driving("post", str(live.port), "/api/v1/alerts", token) as driver:
            driver.prepare(0, BATCH)  # the list of deliveries is as long idle as under load
            driver.go()
            sink.wait_for(BATCH * CHANNELS, 60)
            browser.close()  # the server ends an idle connection
            idle = {page: measure(browser, page) for page in pages}
            with loaded(driver, sink):
                before = sink.count()
                busy = {page: measure(browser, page) for page in pages}
                after = sink.count()
    for page in pages:
        name = page.replace(f"/{channels[0]}/", "/…/")
        print(f"  {name} idle: {summary(idle[page])}")
        print(f"  {name} under load: {summary(busy[page])}")
        ratio = percentile(busy[page], 95) / percentile(idle[page], 95)
        figure(f"{name}: p95 under load / idle", ratio, "×", TARGET, places=2)
    seconds = (after.last_ns - before.last_ns) / 1e9
    figure("deliveries in that time", (after.requests - before.requests) / seconds, "/s", places=0)


def measure(browser: Browser, page: str) -> list[float]:
    """Return the milliseconds of each request of a page."""
    run_at_intervals(lambda: browser.get(page), INTERVAL, WARM_UP)
    return run_at_intervals(lambda: browser.get(page), INTERVAL, REQUESTS)


@contextlib.contextmanager
def loaded(driver: Driver, sink: Sink) -> Iterator[None]:
    """Keep deliveries waiting, from the first one at the sink until the block ends."""
    stop = threading.Event()
    before = sink.count().distinct

    def post() -> None:
        posted = BATCH
        while not stop.is_set():
            if posted * CHANNELS - sink.count().distinct < MAX_WAITING:
                driver.prepare(posted, BATCH)
                driver.go()
                posted += BATCH
            else:
                stop.wait(POLL_SECONDS)

    with ThreadPoolExecutor() as executor:
        posts = executor.submit(post)
        try:
            sink.wait_for(before + 1, 30)
            yield
        finally:
            stop.set()
    posts.result()  # raises what made it fail: the load was missing


if __name__ == "__main__":
    main()
