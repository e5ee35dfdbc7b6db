"""Delay of thirty healthy channels beside ten dead and ten slow ones.

Every alert goes to one channel, in turn, and 100 are posted a second. A dead receiver never accepts
a connection, and a slow one responds after 30 seconds. The same alerts for the thirty others are
posted before at the same times, without the dead and the slow channels. The delay of a delivery
lasts from the time at which its alert is due to its arrival.
"""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

from parts.alerts import post
from parts.figures import figure, percentile, summary
from parts.sink import Sink, receiving
from parts.tocsin import Browser, Live, running
from receiver import Receiver, reply

CHANNELS = 50
DEAD = 10
SLOW = 10
RESPONSE_SECONDS = 30.0
RATE = 100  # alerts a second, the left out ones of the first part included
SECONDS = 40
WARM_UP_SECONDS = 2
GRACE = 1.0  # seconds after the last alert
TARGET_RATIO = 1.2
TARGET_SHARE = 99.9  # percent


def main() -> None:
    with receiving() as sink:
        alone = delays(sink, with_others=False)
        beside = delays(sink, with_others=True)
    healthy = (CHANNELS - DEAD - SLOW) * RATE * SECONDS // CHANNELS
    print(f"  without: {summary(alone)}")
    print(f"  with {DEAD} dead and {SLOW} slow: {summary(beside)}")
    ratio = percentile(beside, 95) / percentile(alone, 95)
    name = f"{DEAD} dead and {SLOW} slow channels among {CHANNELS}: "
    figure(f"{name}p95 of the others / without them", ratio, "×", TARGET_RATIO, places=2)
    share = len(beside) / healthy * 100
    figure(f"{name}delivered to the others", share, "%", TARGET_SHARE, places=2, at_least=True)


def delays(sink: Sink, with_others: bool) -> list[float]:
    """Return the milliseconds of each delivery to a healthy channel that arrived in that time."""
    with running() as live, slow_receiver() as slow, dead_port() as dead:
        urls = [sink.url(number) for number in range(CHANNELS)]
        if with_others:
            urls[:DEAD] = [re.sub(r":\d+/", f":{dead}/", url) for url in urls[:DEAD]]
            urls[DEAD : DEAD + SLOW] = [slow.url] * SLOW
        used = range(0 if with_others else DEAD + SLOW, CHANNELS)
        create_channels(live, urls, used)
        healthy = range(DEAD + SLOW, CHANNELS)
        headers = live.create_token()
        post_alerts(live.port, headers, healthy, 0, WARM_UP_SECONDS)
        sink.wait_for(WARM_UP_SECONDS * RATE * len(healthy) // CHANNELS, 30)
        sink.reset()
        first = WARM_UP_SECONDS * RATE
        began = post_alerts(live.port, headers, used, first, SECONDS)
        time.sleep(GRACE)
        arrivals = sink.arrivals()
    found = []
    for key, at in arrivals.items():
        due = began + (int(key.split()[-1]) - first) / RATE
        found.append((at / 1e9 - due) * 1000)
    return found


def create_channels(live: Live, urls: list[str], used: range) -> None:
    """Create channels, each of which gets the alerts with its number."""
    browser = Browser(live.port)
    for number in used:
        name = f"Channel {number}"
        browser.create_channel(urls[number], name=name, matchers=f'to="{number}"', timeout="30")
    browser.close()


def post_alerts(port: int, headers: dict, used: range, first: int, seconds: int) -> float:
    """Post the alerts of some channels when they are due; return when the first was."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    began = time.monotonic()
    for place, number in enumerate(range(first, first + seconds * RATE)):
        if number % CHANNELS not in used:
            continue
        time.sleep(max(0.0, began + place / RATE - time.monotonic()))
        labels = {"to": str(number % CHANNELS)}
        post(connection, headers, {"name": f"bench-alert-{number}", "labels": labels})
    connection.close()
    return began


@contextlib.contextmanager
def slow_receiver() -> Iterator[Receiver]:
    """Yield a receiver that responds late."""

    def respond(receiver: Receiver, connection: socket.socket) -> None:
        receiver.stopped.wait(RESPONSE_SECONDS)
        reply(200)(receiver, connection)

    receiver = Receiver()
    receiver.script = respond
    try:
        yield receiver
    finally:
        receiver.close()


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """Yield a port at which no connection is ever accepted: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            yield port


if __name__ == "__main__":
    main()
