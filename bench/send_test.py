"""What a test of a channel takes beyond the receiver's own time; beside it, what a bare `requests.post` takes."""

import time
from collections.abc import Callable
from pathlib import Path

import requests
from parts.figures import figure, percentile, summary
from parts.quick_receiver import receiving, times
from parts.tocsin import Browser, running
from peewee import sqlite3

ROUNDS, EACH, WARM_UP = 5, 40, 20


def main() -> None:
    with receiving() as receiver, running() as live:
        url = f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        browser = Browser(live.port)
        channel = browser.create_channel(url)
        form = browser.encoded(browser.form_of(channel))

        def test() -> None:
            assert (
                'data-verdict="delivered"'
                in browser.answer(f"/channels/{channel}/test", form, 200)[1]
            )

        def post() -> None:
            assert requests.post(url, json={"text": "x" * 600}, timeout=5).text == "ok"

        over(test, WARM_UP, receiver)
        over(post, WARM_UP, receiver)
        tests, posts, stored = [], [], 0
        for _ in range(ROUNDS):
            seen = last_attempt(live.folder)
            tests += over(test, EACH, receiver)
            stored += attempts_since(live.folder, seen)
            posts += over(post, EACH, receiver)
    figure("test p95, over the receiver's own time", percentile(tests, 95), "ms", 6)
    print(f"  {summary(tests)}")
    figure("bare requests.post p95, likewise", percentile(posts, 95), "ms")
    print(f"  {summary(posts)}")
    figure(
        f"attempts stored of {ROUNDS * EACH} tests",
        stored,
        "rows",
        ROUNDS * EACH,
        places=0,
        least=True,
    )


def over(exchange: Callable[[], None], count: int, receiver: int) -> list[float]:
    """Runs exchanges one after another; the milliseconds each took, less the receiver's own time of the same exchange."""
    times(receiver)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        exchange()
        took.append((time.perf_counter() - began) * 1000)
    own = times(receiver)
    for _ in range(100):  # The receiver notes an exchange a moment after its answer has gone out.
        own += times(receiver) if len(own) < count else []
    assert len(own) == count, f"{count} exchanges, but {len(own)} reached the receiver"
    return [whole - part / 1000 for whole, part in zip(took, own, strict=True)]


def last_attempt(folder: Path) -> int:
    """The id of the newest attempt."""
    return _asked(folder, "SELECT coalesce(max(id), 0) FROM attempt")


def attempts_since(folder: Path, seen: int) -> int:
    """How many delivered tests were stored since; Tocsin keeps a channel's newest fifty, and a round is shorter."""
    return _asked(
        folder,
        f"SELECT count(*) FROM attempt WHERE id > {seen} AND verdict = 'delivered' AND purpose = 'test'",
    )


def _asked(folder: Path, query: str) -> int:
    connection = sqlite3.connect(folder / "data" / "tocsin.db")
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


if __name__ == "__main__":
    main()
