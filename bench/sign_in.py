"""Measure the sign-in: one at a time, and by four users at once while another user works."""

import threading
import time

from parts.figures import figure, percentile
from parts.tocsin import Browser, running

SIGN_INS = 40
CONCURRENT_SIGN_INS = 10
USERS = 4


def main() -> None:
    with running() as live:
        sequential = [measure_sign_in(live.port) for _ in range(SIGN_INS)]
        concurrent: list[float] = []

        def sign_in_repeatedly() -> None:
            for _ in range(CONCURRENT_SIGN_INS):
                concurrent.append(measure_sign_in(live.port))

        worker = Browser(live.port)
        threads = [threading.Thread(target=sign_in_repeatedly) for _ in range(USERS)]
        for thread in threads:
            thread.start()
        pages = []
        while any(thread.is_alive() for thread in threads):
            start = time.perf_counter()
            worker.get("/channels")
            pages.append((time.perf_counter() - start) * 1000)
            time.sleep(0.05)
    figure(f"sign-in, p50 of {SIGN_INS}", percentile(sequential, 50), "ms", places=0)
    figure(f"sign-in, p95 of {SIGN_INS}", percentile(sequential, 95), "ms", 400, places=0)
    figure(
        f"sign-in by {USERS} users at once, p95 of {USERS * CONCURRENT_SIGN_INS}",
        percentile(concurrent, 95),
        "ms",
        places=0,
    )
    figure("list of channels during these, p95", percentile(pages, 95), "ms", places=0)


def measure_sign_in(port: int) -> float:
    """Return the milliseconds of a sign-in with a new browser, without loading the form."""
    browser = Browser(port, cookie="none")
    page = browser.get("/login")
    start = time.perf_counter()
    browser.sign_in(page)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
