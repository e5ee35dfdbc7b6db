"""What came back from a receiver, and how a kind judges it."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from delivery.alerts.alert import to_text
from delivery.outcome import WORDS, Actor, Reason, Verdict
from delivery.retry import classify

# Charsets of the web (WHATWG "Encoding"); what else Python can decode is no text, or costs more than it tells.
_CHARSETS = re.compile(
    r"utf-?(8|16|32)|us-ascii|ascii|latin|iso-?8859|windows-|cp125|gb|big5|shift|euc-|koi8",
    re.ASCII,
)
_PAGE = re.compile(
    r"[\s\ufeff]*+(?>(?:<!--.*?-->|<\?xml.*?\?>)\s*)*+<(!doctype html|html|head|body|title|meta|script|center|h1)\b",
    re.I | re.S,
)


@dataclass(frozen=True)
class Response:
    """What was read of an answer: the decoded body up to 16 KB, whether there was more, and why reading it ended early.

    `host` is the one that was asked.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    cut: bool = False
    broken: Reason | None = None
    undecodable: bool = False
    host: str = ""

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for header, value in self.headers if header.lower() == name.lower()]

    @property
    def whole(self) -> bool:
        """Whether the body was read to its end."""
        return not (self.cut or self.broken or self.undecodable)

    @cached_property
    def text(self) -> str:
        """The body as text, whatever its charset claims to be."""
        named = re.search(
            r"charset=[\"']?([a-z0-9_.:-]{1,40})", " ".join(self.values("Content-Type")).lower()
        )
        charset = named[1] if named and _CHARSETS.match(named[1]) else "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")

    @cached_property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; empty when there is none."""
        try:
            found = json.loads(self.text.lstrip("\ufeff"))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def json_object(self, name: str) -> dict[str, Any]:
        """The object of this name in that object; empty when there is none."""
        found = self.json.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def good(self) -> bool:
        """Whether the status alone says that the message was taken."""
        return classify(self.status) == Verdict.DELIVERED

    @property
    def is_page(self) -> bool:
        """Whether the body is a web page, or a part of one that says to be HTML."""
        tags = (
            self.text.lstrip("\ufeff \t\r\n").startswith("<")
            and "html" in "".join(self.values("Content-Type")).lower()
        )
        return tags or bool(_PAGE.match(self.text))


@dataclass(frozen=True)
class Judgement:
    """What a kind makes of an answer: a reason of the outcome table, and a detail for its sentence.

    `verdict` and `actor` where they are others than the table's; `retry_after` is the value of a field of the body that
    asks to wait (seconds), unchecked.
    """

    reason: Reason
    detail: str = ""
    verdict: Verdict | None = None
    actor: Actor | None = None
    retry_after: object = None


Rule = Callable[[Response], Judgement]


def judge_by_status(response: Response, detail: str = "") -> Judgement:
    """The judgement of every kind whose receivers say by the status alone whether they took the message."""
    if response.good:
        return Judgement(Reason.OK if response.whole else Reason.OK_TRUNCATED)
    return Judgement(Reason.HTTP_STATUS, detail, verdict=classify(response.status))


def judge_by_body(rule: Rule, gone: Collection[int] = ()) -> Rule:
    """The judgement of a kind whose receivers say it in the body.

    `rule` gets every answer whose body was read to its end, and those with a bad status. `gone` are the statuses with which
    this vendor says that the hook no longer exists.
    """

    def judge(response: Response) -> Judgement:
        if response.good and not response.whole:
            fallback = Reason.PROTOCOL_ERROR if response.undecodable else Reason.TOO_LARGE
            return Judgement(response.broken or fallback, verdict=Verdict.RETRY)
        if response.good and response.is_page:
            return Judgement(Reason.BODY_SAYS_ERROR, WORDS["a_page"], actor=Actor.PROXY)
        if response.status not in gone:
            return rule(response)
        if response.is_page:
            return replace(judge_by_status(response, WORDS["a_page"]), actor=Actor.PROXY)
        return replace(rule(response), verdict=Verdict.GONE)

    return judge


def judge_body(
    response: Response, yes: bool, why: str = "", reason: Reason = Reason.OK, **other: Any
) -> Judgement:
    """For rules: a good status whose body says `yes` is `reason`, another body a refusal; any other status decides itself.

    `why` is what the vendor says for it.
    """
    if not response.good:
        return judge_by_status(response, why)
    return (
        Judgement(reason)
        if yes
        else Judgement(Reason.BODY_SAYS_ERROR, why or WORDS["unclear"], **other)
    )


def judge_by_member(name: str, *why: str, reason: Reason = Reason.OK) -> Rule:
    """The rule of receivers that give a text or number of this name when they took the message, and else say `why`."""

    def rule(response: Response) -> Judgement:
        given = response.json.get(name)
        yes = number(given) is not None or (isinstance(given, str) and given != "")
        return judge_body(response, yes, error_text(*map(response.json.get, why)), reason)

    return rule


def judge_by_code(name: str, why: str, gone: Collection[int], waits: Mapping[int, object]) -> Rule:
    """The rule of receivers whose body holds a code, 0 when they took the message.

    `gone` are the codes of a hook that no longer exists, `waits` those that ask to wait, with the seconds (None: not said).
    """

    def rule(response: Response) -> Judgement:
        code, detail = (
            number(response.json.get(name)),
            error_text(response.json.get(name), response.json.get(why)),
        )
        if code in gone:
            return Judgement(Reason.BODY_SAYS_ERROR, detail, Verdict.GONE)
        if code is not None and code in waits:
            return Judgement(Reason.BODY_SAYS_ERROR, detail, Verdict.RETRY, retry_after=waits[code])
        return judge_body(response, code == 0, detail)

    return rule


def number(value: object) -> int | None:
    """The value when it is a whole number (a true is none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def error_text(*parts: object) -> str:
    """What a vendor says, whatever its type, as one text: its code, then its words."""
    flat: list[object] = []
    for part in parts:
        flat += (
            part.values() if isinstance(part, dict) else part if isinstance(part, list) else [part]
        )
    return ": ".join(text for text in map(to_text, flat) if text)
