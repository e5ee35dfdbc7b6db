"""Duration of a test beyond the receiver's own time, compared with a plain `requests.post`."""

import time
from collections.abc import Callable
from pathlib import Path

import requests
from parts.figures import figure, percentile, summary
from parts.quick_receiver import receiving, times
from parts.tocsin import Browser, running
from peewee import sqlite3

ROUNDS = 5
REQUESTS = 40  # per round; fewer than the tests that Tocsin stores for a channel
WARM_UP = 20


def main() -> None:
    with receiving() as receiver, running() as live:
        url = f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        browser = Browser(live.port)
        channel = browser.create_channel(url)
        form = browser.encoded(browser.form_of(channel))

        def test() -> None:
            _, page = browser.submit(f"/channels/{channel}/test", form, 200)
            assert 'data-verdict="delivered"' in page

        def post() -> None:
            assert requests.post(url, json={"text": "x" * 600}, timeout=5).text == "ok"

        overhead(test, WARM_UP, receiver)
        overhead(post, WARM_UP, receiver)
        tests: list[float] = []
        posts: list[float] = []
        stored = 0
        for _ in range(ROUNDS):
            last_id = last_attempt(live.folder)
            tests += overhead(test, REQUESTS, receiver)
            stored += count_tests_after(live.folder, last_id)
            posts += overhead(post, REQUESTS, receiver)
    figure("test p95, beyond the receiver's own time", percentile(tests, 95), "ms", 6)
    print(f"  {summary(tests)}")
    figure("plain requests.post p95, likewise", percentile(posts, 95), "ms")
    print(f"  {summary(posts)}")
    total = ROUNDS * REQUESTS
    figure(f"attempts stored of {total} tests", stored, "rows", total, places=0, at_least=True)


def overhead(exchange: Callable[[], None], count: int, receiver: int) -> list[float]:
    """Run exchanges; return the milliseconds of each without the receiver's own time."""
    times(receiver)
    durations = []
    for _ in range(count):
        start = time.perf_counter()
        exchange()
        durations.append((time.perf_counter() - start) * 1000)
    own = times(receiver)
    for _ in range(100):  # The receiver records an exchange shortly after its response.
        if len(own) >= count:
            break
        own += times(receiver)
    assert len(own) == count, f"{count} exchanges, but {len(own)} reached the receiver"
    return [whole - part / 1000 for whole, part in zip(durations, own, strict=True)]


def last_attempt(folder: Path) -> int:
    """Return the id of the latest attempt."""
    return _query(folder, "SELECT coalesce(max(id), 0) FROM attempt", ())


def count_tests_after(folder: Path, last_id: int) -> int:
    """Return the number of delivered tests stored after an attempt."""
    statement = """
        SELECT count(*) FROM attempt
        WHERE id > ? AND verdict = 'delivered' AND purpose = 'test'"""
    return _query(folder, statement, (last_id,))


def _query(folder: Path, statement: str, values: tuple[int, ...]) -> int:
    connection = sqlite3.connect(folder / "data" / "tocsin.db")
    try:
        return connection.execute(statement, values).fetchone()[0]
    finally:
        connection.close()


if __name__ == "__main__":
    main()
