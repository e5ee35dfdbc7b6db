"""Alerts lost when processes are killed while the groups of a channel wait for more alerts.

In each round, alerts of three clusters are posted to a channel that groups by cluster, and the
worker is killed with `kill -9` before the wait is over; in every fourth round, all processes are
killed, and Tocsin is started again. Every acknowledged alert must arrive.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from parts.alerts import alerts_in, post
from parts.figures import figure
from parts.tocsin import Live, family, rows
from processes import wait_until, workers_of
from receiver import Receiver

ROUNDS = 20
CLUSTERS = ("eu", "us", "asia")
ALERTS = 30
GROUP_WAIT = 2  # seconds
MAX_DELAY = 1.5  # seconds from the last alert of a round until the kill
ROUND_SECONDS = 20.0  # a round that takes longer has lost alerts
SECONDS = 140.0  # no round begins later than this
UNSETTLED = "SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending', 'held')"


def main() -> None:
    rng = random.Random(7)
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        target = Target(Path(folder), receiver)
        try:
            target.prepare()
            rounds = list(run_rounds(target, rng))
            wait_until_settled(target.live)
            report(rounds, receiver)
        except BaseException:
            print(f"Tocsin's log:\n{target.live.output()}", file=sys.stderr)
            raise
        finally:
            target.live.stop()
            receiver.close()


@dataclass(frozen=True)
class Round:
    """The alerts of a round, and what became of them.

    `early` is the number that arrived before the kill, `seconds` is the time from the kill until
    all had arrived or the round was given up.
    """

    names: list[str]
    early: int
    seconds: float


def run_rounds(target: "Target", rng: random.Random) -> Iterator[Round]:
    """Run the rounds; stop early if they take too long."""
    deadline = time.monotonic() + SECONDS
    for number in range(ROUNDS):
        if time.monotonic() > deadline:
            return
        names = target.post(number)
        time.sleep(rng.uniform(0, MAX_DELAY))
        early = len(target.arrived(names))
        killed_at = time.monotonic()
        if number % 4 == 3:
            target.kill_everything()
        else:
            target.kill_worker()
        target.wait_for(names)
        yield Round(names, early, time.monotonic() - killed_at)


class Target:
    """A Tocsin that is killed and started again, and the receiver of its only channel."""

    def __init__(self, folder: Path, receiver: Receiver):
        self.live = Live(folder)
        self._receiver = receiver
        self._headers: dict[str, str] = {}

    def prepare(self) -> None:
        """Wait until Tocsin is ready; create the channel and a token."""
        self.live.ready()
        url = self._receiver.url
        self.live.create_channel(url, group_by="cluster", group_wait=str(GROUP_WAIT))
        self._headers = self.live.create_token()

    def post(self, number: int) -> list[str]:
        """Post the alerts of a round; return their names."""
        connection = HTTPConnection("127.0.0.1", self.live.port, timeout=30)
        names = []
        for place in range(ALERTS):
            name = f"Round{number}Alert{place}"
            # A message also states what is still open: new groups do not repeat earlier rounds.
            cluster = f"{CLUSTERS[place % len(CLUSTERS)]}-{number}"
            labels = {"cluster": cluster, "severity": "warning"}
            post(connection, self._headers, {"name": name, "labels": labels})
            names.append(name)
        connection.close()
        return names

    def kill_worker(self) -> None:
        """Kill the worker; Tocsin replaces it."""
        [worker] = wait_until(lambda: workers_of(self.live.process.pid))
        os.kill(worker, signal.SIGKILL)

    def kill_everything(self) -> None:
        """Kill all processes, the first one first, and start Tocsin again on another port."""
        for pid in family(self.live.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.live.stop()
        self.live = Live(self.live.folder)
        self.live.ready(20)

    def arrived(self, names: list[str]) -> set[str]:
        """Return those of the alerts that arrived."""
        return {alert["name"] for _, alert in arrivals(self._receiver)}.intersection(names)

    def wait_for(self, names: list[str]) -> None:
        """Wait until all of these alerts arrived, or the time of a round is over."""
        arrived = self._receiver.arrived
        with arrived:
            arrived.wait_for(lambda: len(self.arrived(names)) == len(names), ROUND_SECONDS)


def arrivals(receiver: Receiver) -> list[tuple[int, dict]]:
    """Return each alert that arrived with the number of the message that it arrived in."""
    found = []
    for number, request in enumerate(list(receiver.requests)):
        for alert in alerts_in(request):
            found.append((number, alert))
    return found


def wait_until_settled(live: Live) -> None:
    """Wait, ten seconds at most, until no delivery waits: a repeated one counts too."""
    deadline = time.monotonic() + 10
    while rows(live, UNSETTLED)[0][0] and time.monotonic() < deadline:
        time.sleep(0.1)


def report(rounds: list[Round], receiver: Receiver) -> None:
    """Print the figures."""
    arrived = arrivals(receiver)
    counts = Counter(alert["name"] for _, alert in arrived)
    lost = [name for done in rounds for name in done.names if not counts[name]]
    repeated = sum(count - 1 for count in counts.values())
    clusters: dict[int, set[str]] = {}
    for number, alert in arrived:
        clusters.setdefault(number, set()).add(alert["labels"]["cluster"])
    mixed = sum(len(found) > 1 for found in clusters.values())
    waiting = sum(not done.early for done in rounds)
    figure("kills", len(rounds), "", ROUNDS, places=0, at_least=True)
    figure("of these, before an alert of the round arrived", waiting, "", places=0)
    figure("alerts posted", len(rounds) * ALERTS, "", places=0)
    figure("alerts lost", len(lost), "", 0, places=0)
    figure("alerts repeated", repeated, "", places=0)
    groups = len(rounds) * len(CLUSTERS)
    figure(f"messages of {groups} groups", len(receiver.requests), "", places=0)
    figure("messages about two clusters", mixed, "", 0, places=0)
    recovery = max(done.seconds for done in rounds)
    name = f"from a kill until all arrived, with the wait of {GROUP_WAIT} s"
    figure(f"{name}, longest of {len(rounds)}", recovery, "s")
    if lost:
        print(f"lost: {lost[:10]}")


if __name__ == "__main__":
    main()
