"""Latency of field checks and edit pages at 20 requests a second, and memory afterwards."""

from collections.abc import Callable

from parts.figures import figure, percentile, plain_python, run_at_intervals, summary
from parts.quick_receiver import receiving
from parts.tocsin import Browser, family, megabytes, running

INTERVAL = 1 / 20
REQUESTS = 200
WARM_UP = 40
TESTS = 5


def main() -> None:
    with receiving() as receiver, running() as live:
        browser = Browser(live.port)
        channel = browser.create_channel(
            f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        )
        form = browser.encoded(browser.form_of(channel))
        for _ in range(TESTS):
            browser.submit(f"/channels/{channel}/test", form, 200)
        check = f"/channels/{channel}/validate/url"
        if browser.submit(check, form, 200)[1]:
            raise AssertionError("the measured form is not valid")
        measure("field check", 8, lambda: browser.submit(check, form, 200))
        measure("edit page", 20, lambda: browser.get(f"/channels/{channel}/edit"))
        measure("reference, a loop in plain Python", None, plain_python)
        for number, pid in enumerate(family(live.process.pid)):
            process = f"worker {number}" if number else "the master"
            figure(f"memory of {process}", megabytes(pid), "MB", 80)


def measure(name: str, target: float | None, request: Callable[[], object]) -> None:
    """Print the p50 and the p95 of a request."""
    run_at_intervals(request, INTERVAL, WARM_UP)
    durations = run_at_intervals(request, INTERVAL, REQUESTS)
    figure(f"{name} p50 at 20/s", percentile(durations, 50), "ms")
    figure(f"{name} p95 at 20/s", percentile(durations, 95), "ms", target)
    print(f"  {summary(durations)}")


if __name__ == "__main__":
    main()
