"""30 concurrent tests against a receiver that sends one byte a second.

Other pages must stay fast, and every test slot must be released.

Each web process has its own slots, and the kernel decides which process accepts a connection.
30 tests fill all of them, so that a second flood reveals a lost slot. As many tests as there are
slots would not: one process may be full while another has a free slot.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from parts.figures import figure, percentile, run_at_intervals, summary
from parts.quick_receiver import receiving
from parts.tocsin import Browser, running
from receiver import Receiver, drip

CONCURRENT = 30
TIMEOUT = 5
INTERVAL = 0.05
CHANNELS = 20


@dataclass
class TestResponse:
    """Response to a test and its duration."""

    status: int
    text: str
    seconds: float


def main() -> None:
    receiver = Receiver()
    receiver.script = drip(every=1.0)
    try:
        with receiving() as quick, running() as live:
            quick_url = f"http://127.0.0.1:{quick}/services/t0ken-of-the-path"
            measure(Browser(live.port), receiver.url, quick_url)
    finally:
        receiver.close()


def measure(browser: Browser, dripping: str, quick: str) -> None:
    """Print the figures for a dripping and a quick receiver."""
    for number in range(CHANNELS - 1):
        browser.create_channel(quick, name=f"Team {number}")
    channel = browser.create_channel(dripping, timeout=str(TIMEOUT))
    form = browser.form_of(channel)
    pages = {"list": "/channels", "edit": f"/channels/{channel}/edit"}
    with ThreadPoolExecutor(len(pages) + 1) as pool:
        tests = pool.submit(
            run_concurrently, browser, f"/channels/{channel}/test", form, CONCURRENT
        )
        loads = {
            name: pool.submit(visits, browser, path, round(TIMEOUT / INTERVAL))
            for name, path in pages.items()
        }
    ran = [test for test in tests.result() if test.status == 200]
    refused = [test.seconds for test in tests.result() if test.status == 429]
    for name, load in loads.items():
        figure(f"{name} p95 while {len(ran)} tests hang", percentile(load.result(), 95), "ms")
        print(f"  {summary(load.result())}")
    figure(f"tests that ran (200) of {CONCURRENT}", len(ran), "tests", 4, places=0, at_least=True)
    figure(f"tests refused without a slot (429) of {CONCURRENT}", len(refused), "tests", places=0)
    figure("slowest 429", max(refused, default=0.0), "s", 1, places=2)
    longest = max(test.seconds for test in ran)
    figure("longest test, with a deadline of 5 s", longest, "s", TIMEOUT + 1, places=2)
    time.sleep(1)
    path = f"/channels/{channel}/test"
    again = run_concurrently(browser, path, {**form, **reentered(quick)}, len(ran))
    delivered = [test for test in again if 'data-verdict="delivered"' in test.text]
    name = f"tests of {len(ran)} that got a slot, a second after the deadline"
    figure(name, len(delivered), "tests", len(ran), places=0, at_least=True)
    flood = run_concurrently(browser, path, form, CONCURRENT)
    second = [test for test in flood if test.status == 200]
    name = "tests that ran in a second flood"
    figure(name, len(second), "tests", len(ran), places=0, at_least=True)


def reentered(url: str) -> dict:
    """Return the fields of another receiver, whose secrets must be entered again."""
    return {"url": url, "auth": "none", "signing": "none", "headers-2-value": "r0ute-4f9c2d7e81ab"}


def visits(browser: Browser, path: str, count: int) -> list[float]:
    """Return the milliseconds of each visit.

    Each visit opens a new connection, so that every web process serves some.
    """

    def visit() -> None:
        visitor = browser.another()
        visitor.get(path)
        visitor.close()

    return run_at_intervals(visit, INTERVAL, count)


def run_concurrently(browser: Browser, path: str, form: dict, count: int) -> list[TestResponse]:
    """Run `count` tests that start at the same time."""
    body = browser.encoded(form)
    barrier = threading.Barrier(count)

    def test(user: Browser) -> TestResponse:
        barrier.wait()
        start = time.perf_counter()
        status, text = user.submit(path, body, 200, 429)
        return TestResponse(status, text, time.perf_counter() - start)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(test, [browser.another() for _ in range(count)]))


if __name__ == "__main__":
    main()
