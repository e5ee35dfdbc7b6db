"""A thousand alerts within ten seconds to a channel whose vendor allows 20 messages a minute.

The channel is of kind `telegram`, and its server is a receiver on the loopback interface. One
critical alert is posted among the warnings: it must be out soon. All others must arrive in a few
messages that combine them.
"""

import json
import math
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from parts.alerts import TimedRequests, post
from parts.figures import figure
from parts.tocsin import Live, rows, running
from receiver import Receiver, reply

WARNINGS = 1000
POSTED_WITHIN = 10.0  # seconds
POSTERS = 4
CRITICAL = "CriticalOne"
CRITICAL_AT = 5.0
CRITICAL_WITHIN = 10.0
MAX_MESSAGES = 10
SECONDS = 100.0  # from the first alert; starting and stopping take the rest of two minutes
PRINTED_MESSAGES = 12
OPTIONS = {
    "options-bot_token": "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-bench",
    "options-chat_id": "-1001234567890",
}
SENT = json.dumps({"ok": True, "result": {"message_id": 1}}).encode()
ACCOUNTED = """
    SELECT count(DISTINCT alert_id) FROM delivery WHERE state IN ('delivered', 'accepted')"""


def main() -> None:
    requests = TimedRequests()
    receiver = Receiver(requests)
    receiver.script = reply(body=SENT, Content_Type="application/json")
    try:
        with running() as live:
            live.create_channel(receiver.url, kind="telegram", **OPTIONS)
            storm = Storm(live, live.create_token())
            storm.run()
            delivered = wait_until_delivered(live, storm.began + SECONDS)
            report(live, storm, requests, delivered)
    finally:
        receiver.close()


class Storm:
    """Posts the warnings evenly, each poster every fourth, and the critical alert among them."""

    def __init__(self, live: Live, headers: dict):
        self.accepted = 0
        self.began = math.inf
        self.ended = math.inf
        self.critical_posted = math.inf
        self._port = live.port
        self._headers = headers
        self._counting = threading.Lock()

    def run(self) -> None:
        """Post all alerts, and record when."""
        self.began = time.monotonic()
        threads = [
            threading.Thread(target=self._post_warnings, args=(number,))
            for number in range(POSTERS)
        ]
        threads.append(threading.Thread(target=self._post_critical))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.ended = time.monotonic()

    def _post_warnings(self, poster: int) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        for number in range(poster, WARNINGS, POSTERS):
            self._sleep_until(number * POSTED_WITHIN / WARNINGS)
            self._post(connection, alert("HighLoad", "warning", f"db-{number}"))
        connection.close()

    def _post_critical(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        self._sleep_until(CRITICAL_AT)
        self.critical_posted = time.monotonic()
        self._post(connection, alert(CRITICAL, "critical", "db-0"))
        connection.close()

    def _sleep_until(self, second: float) -> None:
        time.sleep(max(0.0, self.began + second - time.monotonic()))

    def _post(self, connection: HTTPConnection, posted: dict) -> None:
        post(connection, self._headers, posted)
        with self._counting:
            self.accepted += 1


def alert(name: str, severity: str, instance: str) -> dict:
    """Return an open alert; the instance makes it different from others of this name."""
    return {
        "name": name,
        "status": "open",
        "labels": {"severity": severity, "instance": instance, "cluster": "eu"},
        "annotations": {"summary": f"The load of {instance} is above 16"},
    }


def wait_until_delivered(live: Live, deadline: float) -> float:
    """Return the time at which every alert is delivered; infinity if that is after the deadline."""
    while time.monotonic() < deadline:
        if accounted(live) > WARNINGS:
            return time.monotonic()
        time.sleep(0.1)
    return math.inf


def accounted(live: Live) -> int:
    """Return the number of alerts that are stored as delivered."""
    return rows(live, ACCOUNTED)[0][0]


@dataclass(frozen=True)
class Arrival:
    """A message: the seconds from the first alert until it arrived, and its text."""

    second: float
    text: str

    @property
    def line(self) -> str:
        """Its time and its first line."""
        return f"{self.second:6.1f} s: {self.text.splitlines()[0][:90]}"


def arrivals_of(requests: TimedRequests, began: float) -> list[Arrival]:
    """Return the messages that arrived."""
    arrivals = []
    for arrived, request in zip(requests.times, list(requests), strict=False):
        arrivals.append(Arrival(arrived - began, json.loads(request.body)["text"]))
    return arrivals


def report(live: Live, storm: Storm, requests: TimedRequests, delivered: float) -> None:
    """Print the figures, the first messages, and how many deliveries are in each state."""
    arrivals = arrivals_of(requests, storm.began)
    named = (arrival.second for arrival in arrivals if CRITICAL in arrival.text)
    critical = next(named, math.inf) - (storm.critical_posted - storm.began)
    missing = WARNINGS + 1 - accounted(live)
    figure("alerts accepted", storm.accepted, "", WARNINGS + 1, places=0, at_least=True)
    figure("all alerts posted after", storm.ended - storm.began, "s", POSTED_WITHIN + 1)
    figure("the critical alert arrived after", critical, "s", CRITICAL_WITHIN)
    figure("messages in all", len(arrivals), "", MAX_MESSAGES, places=0)
    figure("alerts not delivered", missing, "", 0, places=0)
    figure("everything delivered after", delivered - storm.began, "s")
    states = dict(rows(live, "SELECT state, count(*) FROM delivery GROUP BY state"))
    print(f"states of the deliveries: {states}")
    for arrival in arrivals[:PRINTED_MESSAGES]:
        print(f"  {arrival.line}")


if __name__ == "__main__":
    main()
