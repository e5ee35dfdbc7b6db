"""What came back from a receiver, and how a kind judges it."""

import re
from dataclasses import dataclass
from functools import cached_property

from delivery.outcome import DELIVERED
from delivery.retry import classify

# Charsets of the web (WHATWG "Encoding"); what else Python can decode is no text, or costs more than it tells.
_CHARSETS = re.compile(r"utf-?(8|16|32)|us-ascii|ascii|latin|iso-?8859|windows-|cp125|gb|big5|shift|euc-|koi8", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """What was read of an answer: the decoded body up to 16 KB, whether there was more, and why reading it ended early."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    cut: bool = False
    broken: str = ""

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for header, value in self.headers if header.lower() == name.lower()]

    @property
    def whole(self) -> bool:
        """Whether the body was read to its end."""
        return not (self.cut or self.broken)

    @cached_property
    def text(self) -> str:
        """The body as text, whatever its charset claims to be."""
        named = re.search(r"charset=[\"']?([a-z0-9_.:-]{1,40})", " ".join(self.values("Content-Type")).lower())
        charset = named[1] if named and _CHARSETS.match(named[1]) else "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Judgement:
    """What a kind makes of an answer: a reason of the outcome table, and a detail for its sentence.

    `verdict` and `actor` where they are others than the table's; `retry_after` is the value of a field of the body that
    asks to wait (seconds), unchecked.
    """

    reason: str
    detail: str = ""
    verdict: str | None = None
    actor: str | None = None
    retry_after: object = None


def by_status(answer: Answer) -> Judgement:
    """The judgement of every kind whose receivers say by the status alone whether they took the message."""
    verdict = classify(answer.status)
    if verdict == DELIVERED:
        return Judgement("ok" if answer.whole else "ok_truncated")
    return Judgement("http_status", verdict=verdict)
