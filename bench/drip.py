"""Thirty tests at once against a receiver that drips a byte a second: the pages stay quick, and every slot comes back.

Each worker process has slots of its own, and the kernel decides which one takes a connection. Thirty tests fill all of them,
so a second flood shows a lost slot for certain; as many tests as there are slots may meet a full process beside a free one.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from parts.figures import figure, percentile, steadily, summary
from parts.quick_receiver import receiving
from parts.tocsin import Browser, running
from receiver import Receiver, drip

AT_ONCE, TIMEOUT = 30, 5
EVERY = 0.05
CHANNELS = 20


@dataclass
class Answered:
    """How one test was answered, and after how many seconds."""

    status: int
    text: str
    seconds: float


def main() -> None:
    receiver = Receiver()
    receiver.script = drip(every=1.0)
    try:
        with receiving() as quick, running() as live:
            measure(
                Browser(live.port),
                receiver.url,
                f"http://127.0.0.1:{quick}/services/t0ken-of-the-path",
            )
    finally:
        receiver.close()


def measure(browser: Browser, dripping: str, quick: str) -> None:
    for number in range(CHANNELS - 1):
        browser.create_channel(quick, name=f"Team {number}")
    channel = browser.create_channel(dripping, timeout=str(TIMEOUT))
    form = browser.form_of(channel)
    pages = {"list": "/channels", "edit": f"/channels/{channel}/edit"}
    with ThreadPoolExecutor(len(pages) + 1) as pool:
        tests = pool.submit(all_at_once, browser, f"/channels/{channel}/test", form, AT_ONCE)
        loads = {
            name: pool.submit(visits, browser, path, round(TIMEOUT / EVERY))
            for name, path in pages.items()
        }
    ran = [one for one in tests.result() if one.status == 200]
    busy = [one.seconds for one in tests.result() if one.status == 429]
    for name, load in loads.items():
        figure(f"{name} p95 while {len(ran)} tests hang", percentile(load.result(), 95), "ms")
        print(f"  {summary(load.result())}")
    figure(f"tests that ran (200) of {AT_ONCE}", len(ran), "tests", 4, places=0, least=True)
    figure(f"tests told that all slots are taken (429) of {AT_ONCE}", len(busy), "tests", places=0)
    figure("slowest 429", max(busy, default=0.0), "s", 1, places=2)
    figure(
        "longest test, its deadline being 5 s",
        max(one.seconds for one in ran),
        "s",
        TIMEOUT + 1,
        places=2,
    )
    time.sleep(1)
    again = all_at_once(browser, f"/channels/{channel}/test", {**form, **retyped(quick)}, len(ran))
    sent = [one for one in again if 'data-verdict="delivered"' in one.text]
    figure(
        f"of {len(ran)} tests at once, a second after the deadline, got a slot",
        len(sent),
        "tests",
        len(ran),
        0,
        least=True,
    )
    second = [
        one
        for one in all_at_once(browser, f"/channels/{channel}/test", form, AT_ONCE)
        if one.status == 200
    ]
    figure("tests that ran in a second flood", len(second), "tests", len(ran), places=0, least=True)


def retyped(url: str) -> dict:
    """Another receiver wants the secrets typed again."""
    return {"url": url, "auth": "none", "signing": "none", "headers-2-value": "r0ute-4f9c2d7e81ab"}


def visits(browser: Browser, path: str, count: int) -> list[float]:
    """The milliseconds of each visit, each on a new connection, so that every worker process is asked."""

    def visit() -> None:
        visitor = browser.another()
        visitor.get(path)
        visitor.close()

    return steadily(visit, EVERY, count)


def all_at_once(browser: Browser, path: str, form: dict, count: int) -> list[Answered]:
    """As many tests as `count`, begun in the same moment."""
    body, gate = browser.encoded(form), threading.Barrier(count)

    def test(person: Browser) -> Answered:
        gate.wait()
        began = time.perf_counter()
        status, text = person.answer(path, body, 200, 429)
        return Answered(status, text, time.perf_counter() - began)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(test, [browser.another() for _ in range(count)]))


if __name__ == "__main__":
    main()
