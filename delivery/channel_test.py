"""A test of a channel as it stands in the form: really sent, once, by the same message and sender as a delivery."""

import shlex
import threading
import time
from dataclasses import dataclass

from database import relaxed_durability
from delivery.alerts.samples import sample_alert, samples
from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.kinds import kinds
from delivery.message import Message, body_of, build
from delivery.outcome import Outcome
from delivery.rate_limit import RateLimiter
from delivery.redaction import Mask, escape_invisible, mask_for
from delivery.sender import PreparedRequest, send, wire_bytes
from delivery.settings import Settings
from delivery.text import utf8_length, utf16_length
from models import Attempt, Channel

BODY_SHOWN = 20_000


class TestSlotsFull(Exception):
    """All slots for tests are taken, or the vendor would have been asked too often: when to try again (seconds), and why."""

    def __init__(self, seconds: float, vendor: str = ""):
        super().__init__(vendor)
        self.seconds, self.vendor = seconds, vendor


@dataclass(frozen=True)
class Request:
    """A request as pages show it, secrets masked: its head, its body (cut when very long), its size, and a `curl` line."""

    head: str
    body: str
    body_bytes: int
    curl: str


@dataclass(frozen=True)
class TestResult:
    """One test: what was sent (None when it could not even be written), and how it ended."""

    request: Request | None
    outcome: Outcome


class TestRunner:
    """Runs tests, a few at a time, so that slow receivers cannot take every thread of the web process."""

    def __init__(self, slots: int, policy: Policy):
        self._slots = threading.BoundedSemaphore(slots)
        self._policy = policy
        self._pacer = RateLimiter()

    def run(self, settings: Settings, alert_url: str) -> TestResult:
        """Sends a sample alert. Raises Busy at once where it may not, and InvalidUrl and Unsendable as `message.build`."""
        if not self._slots.acquire(blocking=False):
            raise TestSlotsFull(1)
        try:
            message = sample_message(settings, alert_url)
            rate_limit = message.rate_limit if message.at_vendor else ()
            if wait := self._pacer.wait(
                (settings.kind, settings.url, settings.options), rate_limit, time.monotonic()
            ):
                raise TestSlotsFull(wait, kinds()[settings.kind].label)
            prepared, outcome = send(message, settings, self._policy)
            request = describe(message, settings, prepared) if prepared else None
            return TestResult(request, outcome)
        finally:
            self._slots.release()


def sample_message(settings: Settings, alert_url: str) -> Message:
    """The message of a test and of a preview, for a sample alert of this moment."""
    number = time.time_ns()
    now = number // 1_000_000
    return build(settings, Event(sample_alert(now, alert_url), number, now))


@dataclass(frozen=True)
class Sample:
    """The body for one of the alerts of a preview, secrets masked (cut when very long), and its size."""

    name: str
    body: str
    characters: int
    bytes: int


def previews(settings: Settings, alert_url: str) -> list[Sample]:
    """The bodies for the alerts of a preview. Raises Unsendable."""
    number = time.time_ns()
    alerts = samples(number // 1_000_000, alert_url)
    bodies = {
        name: body_of(settings, Event(alert, number, number // 1_000_000))
        for name, alert in alerts.items()
    }
    mask = mask_for(settings)
    return [
        Sample(name, mask(text)[:BODY_SHOWN], utf16_length(text), utf8_length(text))
        for name, text in bodies.items()
    ]


def describe(message: Message, settings: Settings, prepared: PreparedRequest) -> Request:
    """What `send` puts on the wire for the prepared request, byte for byte but for the masked secrets."""
    mask = mask_for(settings)
    head, _, body = wire_bytes(prepared, message.target).partition(b"\r\n\r\n")
    text = mask(body.decode("utf-8", "replace"))
    curl = _curl(message, mask, list(prepared.headers.items()), text)
    return Request(
        escape_invisible(mask(head.decode("latin-1"))), text[:BODY_SHOWN], len(body), curl
    )


def record(outcome: Outcome, channel: Channel, config_hash: str, at: int) -> None:
    """Stores the attempt of a test of this channel, made at `at` (epoch milliseconds) with this configuration."""
    with relaxed_durability():
        Attempt.store_test(
            {"channel_id": channel.id, "at": at, "config_hash": config_hash, **outcome.columns()}
        )


def _curl(message: Message, mask: Mask, headers: list[tuple[str, str]], body: str) -> str:
    own = ("Host", "Content-Length", "Accept-Encoding")
    named = [("-H", f"{name}: {mask(value)}") for name, value in headers if name not in own]
    arguments = [
        "curl",
        "-sS",
        "-i",
        "-X",
        message.method,
        *(part for pair in named for part in pair),
    ]
    if message.body:
        arguments += ["--data-raw", body]
    return shlex.join([*arguments, mask(message.target.url)])
