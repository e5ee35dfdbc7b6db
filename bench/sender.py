"""CPU of one send on a pooled and on a new connection, next to `Session.post` and `requests.post`.

The whole sender counts: building and signing the request, the exchange, and classifying, masking
and describing the response.
"""

import ipaddress
import time
from collections.abc import Callable

import requests
from parts.figures import figure
from parts.quick_receiver import receiving, times
from parts.tocsin import FORM

from config.networks import AllowedTarget
from delivery.guard.exchange import Policy
from delivery.guard.pool import ConnectionPool
from delivery.guard.url import parse_url
from delivery.message import Message
from delivery.sender import send
from delivery.settings import Header, Settings

ROUNDS, EACH, WARM_UP = 12, 250, 50
TARGET_POOLED = 0.6
TARGET_NEW = 1.0
BODY = b'{"text": "' + b"x" * 588 + b'"}'


def main() -> None:
    with receiving() as receiver, requests.Session() as session:
        url = f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        ways = {
            "send(), pooled": sending(url, ConnectionPool()),
            "send(), new": sending(url, None),
            "Session.post, pooled": posting(session, url),
            "requests.post, new": posting(requests, url),
        }
        for way in ways.values():
            cpu(way, WARM_UP)
        times(receiver)
        seconds_by_way = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                seconds_by_way[name] += cpu(way, EACH)
        assert len(times(receiver)) == ROUNDS * EACH * len(ways), (
            "not every exchange reached the receiver"
        )
    each = {name: seconds / (ROUNDS * EACH) * 1_000_000 for name, seconds in seconds_by_way.items()}
    for name, microseconds in each.items():
        figure(f"{name}, CPU an exchange", microseconds, "µs", places=0)
    for name, target in (("send(), pooled", TARGET_POOLED), ("send(), new", TARGET_NEW)):
        figure(
            f"{name} / Session.post, pooled",
            each[name] / each["Session.post, pooled"],
            "×",
            target,
            places=2,
        )


def cpu(way: Callable[[], None], count: int) -> float:
    """Return the seconds of CPU, of all threads of this process, for `count` exchanges."""
    began = time.process_time()
    for _ in range(count):
        way()
    return time.process_time() - began


def sending(url: str, pool: ConnectionPool | None) -> Callable[[], None]:
    """Return a function that sends for a channel with a token, a signature and headers."""
    policy = Policy((AllowedTarget(network=ipaddress.ip_network("127.0.0.0/8")),))
    settings = Settings(
        url=url,
        headers=(
            Header("X-Team", "database"),
            Header("X-Route-Key", FORM["headers-2-value"], secret=True),
        ),
        auth="bearer",
        auth_secret=FORM["auth_secret"],
        signing="standard",
        signing_secret=FORM["signing_secret"],
        timeout=5,
    )
    message = Message("msg_1", "POST", parse_url(url), BODY)

    def way() -> None:
        outcome = send(message, settings, policy, pool=pool).outcome
        assert outcome.verdict == "delivered", outcome.says

    return way


def posting(client, url: str) -> Callable[[], None]:
    """Return a function that posts with requests or a session."""

    def way() -> None:
        assert (
            client.post(
                url, data=BODY, headers={"Content-Type": "application/json"}, timeout=5
            ).text
            == "ok"
        )

    return way


if __name__ == "__main__":
    main()
