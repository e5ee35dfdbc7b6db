"""CPU of one send, on a kept and on a new connection, beside `Session.post` on a kept one and `requests.post`, in turn.

The whole sender counts: the request put together and signed, the exchange, the answer judged, masked and put into words.
"""

import ipaddress
import time
from collections.abc import Callable

import requests
from parts.figures import figure
from parts.quick_receiver import receiving, times
from parts.tocsin import FORM

from config import Permission
from delivery.guard.exchange import Policy
from delivery.guard.pool import ConnectionPool
from delivery.guard.url import parse_url
from delivery.message import Message
from delivery.sender import send
from delivery.settings import Header, Settings

ROUNDS, EACH, WARM_UP = 12, 250, 50
TARGET = 1.0
BODY = b'{"text": "' + b"x" * 588 + b'"}'


def main() -> None:
    with receiving() as receiver, requests.Session() as session:
        url = f"http://127.0.0.1:{receiver}/services/T024BE7LD/t0ken-of-the-path"
        ways = {
            "send(), kept": sending(url, ConnectionPool()),
            "send(), new": sending(url, None),
            "Session.post, kept": posting(session, url),
            "requests.post, new": posting(requests, url),
        }
        for way in ways.values():
            cpu(way, WARM_UP)
        times(receiver)
        took = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                took[name] += cpu(way, EACH)
        assert len(times(receiver)) == ROUNDS * EACH * len(ways), (
            "not every exchange reached the receiver"
        )
    each = {name: seconds / (ROUNDS * EACH) * 1_000_000 for name, seconds in took.items()}
    for name, microseconds in each.items():
        figure(f"{name}, CPU an exchange", microseconds, "µs", places=0)
    for name in list(ways)[:2]:
        figure(
            f"{name} / Session.post, kept",
            each[name] / each["Session.post, kept"],
            "×",
            TARGET,
            places=2,
        )


def cpu(way: Callable[[], None], count: int) -> float:
    """The seconds of CPU, of all threads of this process, for `count` exchanges."""
    began = time.process_time()
    for _ in range(count):
        way()
    return time.process_time() - began


def sending(url: str, pool: ConnectionPool | None) -> Callable[[], None]:
    """Tocsin's own sender, for a channel with a token, a signature and headers."""
    policy = Policy((Permission(network=ipaddress.ip_network("127.0.0.0/8")),))
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
    """`post` of requests or of a session."""

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
