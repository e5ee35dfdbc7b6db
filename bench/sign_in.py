"""Duration of a sign-in, one at a time and by four users at once, and of a page during them."""

import threading
import time

from parts.figures import figure, percentile
from parts.tocsin import Browser, running

SEQUENTIAL = 40
CONCURRENT = 10
USERS = 4


def main() -> None:
    with running() as live:
        sequential = [sign_in(live.port) for _ in range(SEQUENTIAL)]
        concurrent: list[float] = []

        def sign_in_repeatedly() -> None:
            concurrent.extend(sign_in(live.port) for _ in range(CONCURRENT))

        visitor = Browser(live.port)
        threads = [threading.Thread(target=sign_in_repeatedly) for _ in range(USERS)]
        for thread in threads:
            thread.start()
        pages = []
        while any(thread.is_alive() for thread in threads):
            start = time.perf_counter()
            visitor.get("/channels")
            pages.append((time.perf_counter() - start) * 1000)
            time.sleep(0.05)
    figure(f"sign-in, p50 of {SEQUENTIAL}", percentile(sequential, 50), "ms", places=0)
    figure(f"sign-in, p95 of {SEQUENTIAL}", percentile(sequential, 95), "ms", 400, places=0)
    name = f"sign-in by {USERS} users at once, p95 of {USERS * CONCURRENT}"
    figure(name, percentile(concurrent, 95), "ms", places=0)
    figure("channel list during these sign-ins, p95", percentile(pages, 95), "ms", places=0)


def sign_in(port: int) -> float:
    """Return the milliseconds of a sign-in in a new browser, without the sign-in page."""
    browser = Browser(port, cookie="none")
    page = browser.get("/login")
    start = time.perf_counter()
    browser.sign_in(page)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
