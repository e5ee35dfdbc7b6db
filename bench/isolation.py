"""Delay of healthy channels beside dead name servers and slow receivers.

Lookups: each of 50 channels has a name of its own, and a lookup takes 100 ms; two names get no
response. Every channel gets ten alerts. Seats: 24 channels, whose receivers respond after eight
seconds, get ten alerts each; meanwhile a 25th channel, whose receiver responds at once, gets one
alert a second. The delay of a delivery lasts from the receipt of its alert until its result is
stored. The resolver of the worker is replaced, and all names lead to the loopback interface.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

from parts import ROOT
from parts.figures import figure, percentile, summary
from parts.tocsin import Browser, Live
from receiver import Receiver, reply

WORKER = Path(__file__).parent / "parts" / "slow_resolver.py"
CHANNELS = 50
ALERTS = 10
DEAD = 2
SLOW = 24
RESPONSE_SECONDS = 8.0
QUICK_ALERTS = 20
MAX_SECONDS = 60.0
_DELAYS = """
    SELECT settled_at - delivery.created_at FROM delivery JOIN channel ON channel.id = channel_id
    WHERE channel.name LIKE ? AND delivery.state = 'delivered'"""
_TIMEOUTS = """
    SELECT count(*) FROM attempt JOIN channel ON channel.id = channel_id
    WHERE channel.name LIKE 'healthy%' AND reason = 'dns_timeout'"""


class Web(Live):
    """The web processes of Tocsin; the worker is started beside them."""

    command = ("serve", "--no-worker")


class Installation:
    """A running Tocsin whose worker has a slow resolver."""

    def __init__(self, web: Web):
        self.web = web
        self.browser = Browser(web.port)
        self.headers = {**web.create_token(), "Content-Type": "application/json"}

    def post(self, count: int, to: str) -> None:
        """Post new alerts, one a request, to the channels whose matchers select `to`."""
        connection = HTTPConnection("127.0.0.1", self.web.port, timeout=10)
        for _ in range(count):
            alert = {"name": f"Disk full {time.time_ns()}", "labels": {"to": to}}
            connection.request("POST", "/api/v1/alerts", json.dumps(alert), self.headers)
            response = connection.getresponse()
            assert response.status == 202, response.read()
            response.read()
        connection.close()

    def create(self, name: str, url: str, to: str) -> None:
        """Create a channel that gets the alerts for `to`."""
        self.browser.create_channel(url, name=name, matchers=f'to="{to}"', timeout="10")

    def query(self, statement: str, *parameters: str) -> list[int]:
        """Return the first column of a query."""
        with contextlib.closing(sqlite3.connect(self.web.folder / "data" / "tocsin.db")) as rows:
            return [row[0] for row in rows.execute(statement, parameters)]

    def delays(self, names: str, count: int) -> list[int]:
        """Return the milliseconds of each delivery once `count` arrived, or after a while."""
        end = time.monotonic() + MAX_SECONDS
        while len(delays := self.query(_DELAYS, names)) < count and time.monotonic() < end:
            time.sleep(0.1)
        return delays


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """Yield a new installation, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        web = Web(Path(folder))
        worker = None
        try:
            web.ready()
            environment = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TOCSIN_DATA_DIR": str(web.folder / "data"),
                "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
            }
            worker = subprocess.Popen([sys.executable, str(WORKER)], env=environment)
            yield Installation(web)
        finally:
            if worker:
                worker.kill()
                worker.wait()
            web.stop()


def main() -> None:
    measure_lookups()
    measure_seats("24 slow receivers", SLOW)
    measure_seats("24 slow channels of one receiver", 1)


def measure_lookups() -> None:
    """Print the delays of 48 healthy channels beside two dead names."""
    with contextlib.closing(Receiver()) as receiver, installed() as tocsin:
        for number in range(CHANNELS):
            name = "dead" if number < DEAD else "healthy"
            url = f"http://{name}-{number}.test:{receiver.port}/hooks/t0ken-of-the-path"
            tocsin.create(f"{name} {number}", url, "all")
        tocsin.post(ALERTS, "all")
        count = (CHANNELS - DEAD) * ALERTS
        delays = tocsin.delays("healthy%", count)
        name = f"{CHANNELS} channels x {ALERTS} alerts, {DEAD} dead names: "
        figure(f"{name}delivered to healthy names", len(delays), "", count, 0, at_least=True)
        figure(f"{name}timeouts of healthy names", tocsin.query(_TIMEOUTS)[0], "", 0, 0)
        figure(f"{name}p95", percentile(delays, 95), "ms", 1000, places=0)
        print(f"  {summary(delays)}")


def measure_seats(name: str, receivers: int) -> None:
    """Print the delays of one quick channel beside 24 slow ones on so many receivers."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(contextlib.closing(Receiver())) for _ in range(receivers)]
        quick = stack.enter_context(contextlib.closing(Receiver()))
        for receiver in slow:
            receiver.script = respond_late
        tocsin = stack.enter_context(installed())
        for number in range(SLOW):
            tocsin.create(f"slow {number}", slow[number % receivers].url, "slow")
        tocsin.create("quick", quick.url, "quick")
        tocsin.post(ALERTS, "slow")
        for _ in range(QUICK_ALERTS):
            tocsin.post(1, "quick")
            time.sleep(1)
        delays = tocsin.delays("quick", QUICK_ALERTS)
        figure(f"{name}: longest delay of a quick channel", max(delays), "ms", 1000, places=0)
        print(f"  {summary(delays)}")
        done = len(tocsin.query(_DELAYS, "slow%"))
        figure(f"{name}: slow deliveries in {QUICK_ALERTS} s", done, "", places=0)


def respond_late(receiver: Receiver, connection) -> None:
    """Respond with 200 after some seconds."""
    receiver.stopped.wait(RESPONSE_SECONDS)
    reply(200)(receiver, connection)


if __name__ == "__main__":
    main()
