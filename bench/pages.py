"""Field checks and edit pages at a steady 20 requests a second on a kept connection, and the memory afterwards."""

from collections.abc import Callable

from parts.figures import figure, percentile, steadily, summary
from parts.quick_receiver import receiving
from parts.tocsin import Browser, megabytes, processes_of, running

EVERY, COUNT, WARM_UP = 1 / 20, 200, 40
TESTS = 5


def main() -> None:
    with receiving() as receiver, running() as live:
        browser = Browser(live.port)
        channel = browser.create_channel(
            f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        )
        form = browser.encoded(browser.form_of(channel))
        for _ in range(TESTS):
            browser.answer(f"/channels/{channel}/test", form, 200)
        check = f"/channels/{channel}/validate/url"
        if browser.answer(check, form, 200)[1]:
            raise AssertionError("the form that is measured is not valid")
        measure("field check", 8, lambda: browser.answer(check, form, 200))
        measure("edit page", 20, lambda: browser.get(f"/channels/{channel}/edit"))
        measure("reference, a loop of bare Python", None, bare_python)
        for number, pid in enumerate(processes_of(live.process.pid)):
            figure(
                f"memory of {f'worker {number}' if number else 'the master'}",
                megabytes(pid),
                "MB",
                80,
            )


def bare_python() -> None:
    """Work of a known size that touches neither Tocsin nor the network: what it takes longer is the machine's doing."""
    sum(number * number for number in range(20_000))


def measure(name: str, target: float | None, request: Callable[[], object]) -> None:
    """Prints the p50 and the p95."""
    steadily(request, EVERY, WARM_UP)
    took = steadily(request, EVERY, COUNT)
    figure(f"{name} p50 at 20/s", percentile(took, 50), "ms")
    figure(f"{name} p95 at 20/s", percentile(took, 95), "ms", target)
    print(f"  {summary(took)}")


if __name__ == "__main__":
    main()
