"""How long a sign-in takes: the POST to /login, one after another, and by four people at once, while somebody else works."""

import threading
import time

from parts.figures import figure, percentile
from parts.tocsin import Browser, running

ALONE, TOGETHER, PEOPLE = 40, 10, 4


def main() -> None:
    with running() as live:
        alone = [timed(live.port) for _ in range(ALONE)]
        together: list[float] = []
        worker, threads = Browser(live.port), []
        for _ in range(PEOPLE):
            threads.append(
                threading.Thread(
                    target=lambda: together.extend(timed(live.port) for _ in range(TOGETHER))
                )
            )
        for thread in threads:
            thread.start()
        pages = []
        while any(thread.is_alive() for thread in threads):
            began = time.perf_counter()
            worker.get("/channels")
            pages.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
    figure(f"sign-in, p50 of {ALONE}", percentile(alone, 50), "ms", places=0)
    figure(f"sign-in, p95 of {ALONE}", percentile(alone, 95), "ms", 400, places=0)
    figure(
        f"sign-in by {PEOPLE} people at once, p95 of {PEOPLE * TOGETHER}",
        percentile(together, 95),
        "ms",
        places=0,
    )
    figure("the list of channels meanwhile, p95", percentile(pages, 95), "ms", places=0)


def timed(port: int) -> float:
    """The milliseconds of a whole sign-in of a fresh browser, the page before it not counted."""
    browser = Browser(port, cookie="none")
    page = browser.get("/login")
    began = time.perf_counter()
    browser.sign_in(page)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
