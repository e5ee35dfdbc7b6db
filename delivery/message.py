"""Builds the message of a channel for an alert, the same for tests, previews and deliveries."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.guard.url import ParsedUrl, parse_url
from delivery.installation import Installation
from delivery.json_text import dumps
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.outcome import SuggestedFix
from delivery.response import Judgement, Response, judge_by_status
from delivery.settings import Settings
from delivery.template import TemplateError

ANONYMOUS = Installation()


class MessageError(ValueError):
    """The channel cannot make a message, such as a damaged row; the text is a sentence."""


@dataclass(frozen=True)
class Message:
    """A message to a receiver.

    `id` is the `webhook-id`, the same on every retry. `at_vendor` says that the message goes to the
    vendor's own server, where its `rate_limit` holds.
    """

    id: str
    method: str
    target: ParsedUrl
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: tuple[tuple[int, float], ...] = ()
    at_vendor: bool = False
    judge: Callable[[Response], Judgement] = field(default=judge_by_status, compare=False)
    hint_for: Callable[[int, str], str] = field(default=lambda *_: "", compare=False)
    suggest_fix: Callable[[Response], SuggestedFix | None] = field(
        default=lambda _response: None, compare=False
    )


def build(
    settings: Settings,
    event: Event,
    at: int | None = None,
    fixed: str | None = None,
    installation: Installation = ANONYMOUS,
) -> Message:
    """Build the message about the event of one alert, as `build_message` does.

    Raises:
        InvalidUrl: If the channel's URL cannot be read.
        MessageError: If the channel cannot make a message.
    """
    return build_message(AlertText(event, settings, installation), at, fixed)


def build_message(text: AlertText, at: int | None = None, fixed: str | None = None) -> Message:
    """Build the message that says this of an alert, or of a group, whatever these hold.

    `at` is the time of this attempt in milliseconds since the epoch, which some kinds sign; it
    defaults to the event's. `fixed` is the body of the first attempt: it is sent again unchanged
    unless the kind signs its body.

    Raises:
        InvalidUrl: If the channel's URL cannot be read.
        MessageError: If the channel cannot make a message.
    """
    settings = text.settings
    kind = _kind_of(settings)
    method = settings.method if "method" in kind.uses else "POST"
    body = "" if method == "GET" else fixed
    attempt = text
    if at is not None and (kind.signs_body or kind.signs_url):
        attempt = replace(text, event=replace(text.event, at=at))
    if kind.signs_body:
        body = write_body(attempt)
    elif body is None:
        body = write_body(text)
    target = kind.request_url(parse_url(settings.url), attempt)
    recognized = kind.match_url(target)
    return Message(
        id=text.event.message_id,
        method=method,
        target=target,
        body=body.encode("utf-8", "replace"),
        headers=tuple(kind.headers(settings)),
        rate_limit=kind.rate_limit,
        at_vendor=recognized is not None and recognized.certain,
        judge=kind.judge,
        hint_for=kind.hint_for,
        suggest_fix=lambda response: kind.suggest_fix(response, settings),
    )


def write_body(text: AlertText) -> str:
    """Return the body that says this of an alert, or of a group.

    Raises:
        MessageError: If the channel cannot make a message.
    """
    try:
        body = _kind_of(text.settings).body(text)
    except TemplateError as error:
        raise MessageError(str(error)) from None
    return body if isinstance(body, str) else dumps(body)


def _kind_of(settings: Settings) -> Kind:
    kind = kinds().get(settings.kind)
    if kind is None:
        raise MessageError(f"The kind {settings.kind!r} is not known.")
    return kind
