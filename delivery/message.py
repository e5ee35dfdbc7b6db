"""Makes the message of a channel for an alert: the same for tests, previews and deliveries."""

from collections.abc import Callable
from dataclasses import dataclass, field

from delivery.answer import Answer, Judgement, by_status
from delivery.kinds import Event, kinds
from delivery.settings import Settings
from delivery.target import Target, read_url


class Unsendable(ValueError):
    """The message cannot be made as the channel stands (a damaged row, or one of a newer version); a sentence."""


@dataclass(frozen=True)
class Message:
    """What goes to the receiver: where, how, and the exact body. `id` is the `webhook-id`, the same on every retry."""

    id: str
    method: str
    target: Target
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    judge: Callable[[Answer], Judgement] = by_status


def build(settings: Settings, event: Event) -> Message:
    """The message. Total in the alert; raises InvalidUrl or Unsendable when the channel itself cannot be used."""
    kind = kinds().get(settings.kind)
    if kind is None:
        raise Unsendable(f"The kind {settings.kind!r} is not known.")
    method = settings.method if "method" in kind.uses else "POST"
    body = b"" if method == "GET" else kind.body(settings, event).encode("utf-8", "replace")
    return Message(f"msg_{event.number}", method, kind.complete(read_url(settings.url)), body, judge=kind.judge)
