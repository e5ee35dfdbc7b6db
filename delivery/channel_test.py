"""Test a channel as it is in the form.

A test is really sent, once, with the same message builder and sender as a delivery.
"""

import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.samples import GROUP, SOURCE_URL, sample_alert, sample_group, samples
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.drawing.drawers import draw
from delivery.drawing.model import Drawing, Viewer
from delivery.event import Event
from delivery.guard.connection import serialize
from delivery.guard.exchange import Policy
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import Message, build_message, write_body
from delivery.outcome import Outcome
from delivery.rate_limit import RateLimiter
from delivery.redaction import escape_invisible, mask_for
from delivery.sender import PreparedRequest, prepare, send
from delivery.settings import Settings
from delivery.text import utf8_length, utf16_length

MAX_BODY_SHOWN = 20_000
MAX_CLOSING_SECONDS = 5
SampleAlert = Callable[[int, str], Alert]
_HEADERS_OF_CURL = ("Host", "Content-Length", "Accept-Encoding")


@dataclass(eq=False)
class TestSlotsFull(Exception):
    """No test can be sent now: every slot is in use, or the vendor's rate limit is reached.

    `seconds` is the time to wait; `vendor` is empty when the slots are in use.
    """

    seconds: float
    vendor: str = ""


@dataclass(frozen=True)
class Request:
    """A request as pages show it, with masked secrets; a very long body is truncated."""

    head: str
    body: str
    body_bytes: int
    curl: str


@dataclass(frozen=True)
class TestResult:
    """The result of a test; `request` is None when no request could be written.

    `closing` is the outcome of the second message, which closes the alert of the test at a receiver
    that keeps it open; None if there was nothing to close. `note` says what becomes of that alert.
    """

    request: Request | None
    outcome: Outcome
    closing: Outcome | None = None
    note: str = ""


class TestRunner:
    """Runs a few tests at a time, so that slow receivers cannot take every web thread."""

    def __init__(self, slots: int, policy: Policy, installation: Installation):
        self._slots = threading.BoundedSemaphore(slots)
        self._policy = policy
        self._installation = installation
        self._rate_limiter = RateLimiter()

    def run(
        self,
        settings: Settings,
        alert_url: str,
        in_group: bool = False,
        sample: SampleAlert = sample_alert,
    ) -> TestResult:
        """Send a sample alert, and close it at a receiver that would keep it open.

        It is sent as the only alert of a group if the channel groups alerts. `sample` makes the
        alert from the time and its URL.

        Raises: TestSlotsFull without waiting; InvalidUrl and MessageError as `message.build` does.
        """
        if not self._slots.acquire(blocking=False):
            raise TestSlotsFull(1)
        try:
            event = sample_event(alert_url, sample)
            text = _sample_text(event, settings, self._installation, in_group)
            message = build_message(text)
            if message.at_vendor:
                key = (settings.kind, settings.url, settings.options)
                seconds = self._rate_limiter.wait(key, message.rate_limit, time.monotonic())
                if seconds:
                    raise TestSlotsFull(seconds, kinds()[settings.kind].label)
            prepared, outcome = send(message, settings, self._policy)
            request = describe(message, settings, prepared) if prepared else None
            closing = self._close(text, outcome)
            return TestResult(request, outcome, closing, _note(settings, outcome, closing))
        finally:
            self._slots.release()

    def _close(self, text: AlertText, outcome: Outcome) -> Outcome | None:
        """Close the alert of a test, if the kind keeps it open and it may have arrived."""
        settings = text.settings
        if not kinds()[settings.kind].closes_test or not outcome.may_have_arrived:
            return None
        event = text.event
        closed = replace(event.alert, status=AlertStatus.CLOSED, ends_at=event.at)
        closing = replace(text, event=replace(event, alert=closed, number=event.number + 1))
        message = build_message(closing)
        hurried = replace(settings, timeout=min(settings.timeout, MAX_CLOSING_SECONDS))
        return send(message, hurried, self._policy).outcome


def _note(settings: Settings, outcome: Outcome, closing: Outcome | None) -> str:
    """Return what becomes of the alert of a test at a receiver that keeps it open."""
    kind = kinds()[settings.kind]
    if not outcome.may_have_arrived:
        return ""
    if closing is None:
        return kind.test_note
    if closing.good:
        return f"{kind.test_note} {closing.says}"
    return (
        f"The alert of this test is still open at {kind.label}, because the message that closes it "
        f"failed: close it there. {closing.says}"
    )


def _sample_text(
    event: Event, settings: Settings, installation: Installation, in_group: bool
) -> AlertText:
    """Return what the message of a test says, under a key that no real group has."""
    if in_group:
        return text_of_group([event], f"test-{event.number}", settings, installation)
    return AlertText(event, settings, installation)


def sample_event(alert_url: str, sample: SampleAlert = sample_alert) -> Event:
    """Return the event of a test, with a sample alert of its own."""
    number = time.time_ns()
    now = number // 1_000_000
    return Event(sample(now, alert_url), number, now, is_test=True)


@dataclass(frozen=True)
class Sample:
    """The body for a sample alert, with masked secrets, and its size before truncation.

    `drawing` shows the body as the service does; None for a kind without one.
    """

    name: str
    body: str
    characters: int
    bytes: int
    drawing: Drawing | None


def sample_bodies(settings: Settings, installation: Installation) -> list[Sample]:
    """Return the bodies for every sample alert of a preview, and for a group.

    Raises: MessageError.
    """
    number = time.time_ns()
    now = number // 1_000_000
    mask = mask_for(settings)
    viewer = Viewer(now, installation.time_zone)
    bodies = []
    for name, text in sample_texts(settings, installation, number).items():
        body = write_body(text)
        drawing = draw(settings.kind, body, viewer, mask)
        shown = mask(body)[:MAX_BODY_SHOWN]
        bodies.append(Sample(name, shown, utf16_length(body), utf8_length(body), drawing))
    return bodies


def sample_texts(
    settings: Settings, installation: Installation, number: int
) -> dict[str, AlertText]:
    """Return what messages say of the sample alerts and of the group, by their names.

    `number` is that of the events, and their time in nanoseconds.
    """
    now = number // 1_000_000
    texts = {}
    for name, alert in samples(now, SOURCE_URL).items():
        texts[name] = AlertText(Event(alert, number, now, opening=now), settings, installation)
    events = []
    for alert in sample_group(now, SOURCE_URL):
        events.append(Event(alert, number, now, opening=now))
    texts[GROUP] = text_of_group(events, str(now), settings, installation)
    return texts


def sample_request(
    settings: Settings, alert_url: str, installation: Installation, in_group: bool = False
) -> Request:
    """Return the request of a test, without sending it.

    Raises: InvalidUrl; MessageError.
    """
    message = build_message(_sample_text(sample_event(alert_url), settings, installation, in_group))
    return describe(message, settings, prepare(message, settings, 1, time.time()))


def describe(message: Message, settings: Settings, prepared: PreparedRequest) -> Request:
    """Return the exact bytes that `send` writes for a request, with masked secrets."""
    mask = mask_for(settings)
    head, _, body = serialize(prepared).partition(b"\r\n\r\n")
    text = mask(body.decode("utf-8", "replace"))
    curl = ["curl", "-sS", "-i", "-X", message.method]
    for name, value in prepared.headers.items():
        if name not in _HEADERS_OF_CURL:
            curl += ["-H", f"{name}: {mask(value)}"]
    if message.body:
        curl += ["--data-raw", text]
    curl.append(mask(message.target.url))
    return Request(
        head=escape_invisible(mask(head.decode("latin-1"))),
        body=text[:MAX_BODY_SHOWN],
        body_bytes=len(body),
        curl=shlex.join(curl),
    )
