"""Makes the message of a channel for an alert: the same for tests, previews and deliveries."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from delivery.event import Event
from delivery.guard.url import ParsedUrl, parse_url
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.outcome import SuggestedFix
from delivery.response import Judgement, Response, judge_by_status
from delivery.settings import Settings
from delivery.template import TemplateError


class MessageError(ValueError):
    """The message cannot be made as the channel stands (a damaged row, or one of a newer version); a sentence."""


@dataclass(frozen=True)
class Message:
    """What goes to the receiver: where, how, and the exact body. `id` is the `webhook-id`, the same on every retry.

    `pace` is the vendor's rate, and `at_vendor` says whether the message goes to the vendor's own server.
    """

    id: str
    method: str
    target: ParsedUrl
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: tuple[tuple[int, float], ...] = ()
    at_vendor: bool = False
    judge: Callable[[Response], Judgement] = field(default=judge_by_status, compare=False)
    suggest_fix: Callable[[Response], SuggestedFix | None] = field(
        default=lambda _answer: None, compare=False
    )


def build(
    settings: Settings, event: Event, at: int | None = None, fixed: str | None = None
) -> Message:
    """The message. Total in the alert; raises InvalidUrl or Unsendable when the channel itself cannot be used.

    `at` is the time of this attempt (epoch milliseconds, the event's own when it is not given), which some kinds sign, and
    `fixed` the body of the first attempt: it stays to the letter, but where the signature in it must be fresh.
    """
    kind = _kind_of(settings)
    method = settings.method if "method" in kind.uses else "POST"
    attempt = event if at is None else replace(event, at=at)
    if method == "GET" or fixed is None or kind.signs_body:
        fixed = "" if method == "GET" else body_of(settings, attempt if kind.signs_body else event)
    body, target = fixed, kind.complete_url(parse_url(settings.url), settings, attempt)
    pasted = kind.match_url(target)
    return Message(
        id=f"msg_{event.number}",
        method=method,
        target=target,
        body=body.encode("utf-8", "replace"),
        rate_limit=kind.rate_limit,
        at_vendor=pasted is not None and pasted.certain,
        headers=tuple(kind.headers(settings)),
        judge=kind.judge,
        suggest_fix=lambda response: kind.suggest_fix(response, settings),
    )


def body_of(settings: Settings, event: Event) -> str:
    """The body of the message alone. Raises Unsendable."""
    try:
        return _kind_of(settings).body(settings, event)
    except TemplateError as problem:
        raise MessageError(str(problem)) from None


def _kind_of(settings: Settings) -> Kind:
    kind = kinds().get(settings.kind)
    if kind is None:
        raise MessageError(f"The kind {settings.kind!r} is not known.")
    return kind
