"""A backup of a database of 1 GB while alerts are delivered and pages are loaded.

Prints the time of `tocsin backup`, and the ratio of the p95 of each page to that of the same page
of an idle Tocsin. The load without a backup is printed for comparison.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parts.figures import figure, percentile, run_at_intervals, summary
from parts.filled import CHANNELS, fill
from parts.peers import driving
from parts.sink import receiving
from parts.tocsin import Browser, Live, running

ROOT = Path(__file__).parents[1]
SIZE = int(os.environ.get("SIZE", "1750000"))  # deliveries: 1 GB
KEPT = "100000000"  # deliveries: nothing is pruned
ALERTS = 100  # a second, each to four channels
SECONDS = 90  # of alerts
INTERVAL = 1 / 10
WARM_UP = 10
REQUESTS = 80
MAX_SECONDS = 60
MAX_RATIO = 2.0
PAGES = ("/", "/channels", "/deliveries")


def main() -> None:
    with (
        receiving() as sink,
        running(TOCSIN_KEEP_DELIVERIES=KEPT) as live,
        tempfile.TemporaryDirectory() as folder,
    ):
        browser = Browser(live.port)
        for number in range(CHANNELS):
            browser.create_channel(sink.url(number), name=f"Channel {number}")
        with live.database.connection_context():
            fill(live.database, SIZE)
        size = (live.folder / "data" / "tocsin.db").stat().st_size
        print(f"{SIZE:,} deliveries, {size / 1e6:,.0f} MB", flush=True)
        browser.close()  # the server ends an idle connection
        idle = {page: measure(browser, page) for page in PAGES}
        token = live.create_token()["Authorization"].removeprefix("Bearer ")
        with (
            driving("post", str(live.port), "/api/v1/alerts", token) as driver,
            ThreadPoolExecutor() as executor,
        ):
            driver.prepare(0, ALERTS * SECONDS, ALERTS)
            posts = executor.submit(driver.go)
            busy = {page: measure(browser, page) for page in PAGES}
            backup = start(live, folder)
            began = time.monotonic()
            during: dict[str, list[float]] = {page: [] for page in PAGES}
            while backup.poll() is None:
                for page in PAGES:
                    request = lambda page=page: browser.get(page)  # noqa: E731
                    during[page] += run_at_intervals(request, INTERVAL, 5)
            seconds = time.monotonic() - began
            posts.result()  # raises what made it fail: the load was missing
    assert backup.returncode == 0
    for page in PAGES:
        print(f"  {page} idle: {summary(idle[page])}")
        print(f"  {page} with {ALERTS} alerts a second: {summary(busy[page])}")
        print(f"  {page} with a backup as well: {summary(during[page])}")
        ratio = percentile(during[page], 95) / percentile(idle[page], 95)
        figure(f"{page}: p95 during the backup / idle", ratio, "×", MAX_RATIO, places=2)
    figure("time of the backup", seconds, "s", MAX_SECONDS)


def measure(browser: Browser, page: str) -> list[float]:
    """Return the milliseconds of each request of a page."""
    run_at_intervals(lambda: browser.get(page), INTERVAL, WARM_UP)
    return run_at_intervals(lambda: browser.get(page), INTERVAL, REQUESTS)


def start(live: Live, folder: str) -> subprocess.Popen:
    """Start the backup of a running Tocsin."""
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(live.folder / "data")}
    command = [sys.executable, str(ROOT / "cli.py"), "backup", folder]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
