"""The response of a receiver, and helpers with which a kind judges it."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from delivery.alerts.alert import to_text
from delivery.json_text import parse_or_none
from delivery.outcome import Actor, Reason, Verdict
from delivery.retry import verdict_of_status

# The charsets of the web (WHATWG "Encoding"). Python decodes others, but some are not text and
# some are slow.
_CHARSET = re.compile(
    r"charset=[\"']?((?:utf-?(?:8|16|32)|us-ascii|ascii|latin|iso-?8859|windows-|cp125|gb|big5"
    r"|shift|euc-|koi8)[a-z0-9_.:-]{0,40})",
    re.ASCII | re.IGNORECASE,
)
_PAGE = re.compile(
    r"[\s\ufeff]*+(?>(?:<!--.*?-->|<\?xml.*?\?>)\s*)*+"
    r"<(!doctype html|html|head|body|title|meta|script|center|h1)\b",
    re.I | re.S,
)
_WEB_PAGE = "the response is a web page"


@dataclass(frozen=True)
class Response:
    """A response as far as it was read.

    `body` is decoded, and at most 16 KB. `incomplete` is the reason why it was not read to its
    end, None if it was; `invalid` is true if the connection broke, or sent no valid HTTP. `host`
    and `path` are those that the request was sent to.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    incomplete: Reason | None = None
    invalid: bool = False
    host: str = ""
    path: str = ""

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        name = name.lower()
        return [value for header, value in self.headers if header.lower() == name]

    def value(self, name: str) -> str:
        """Return the first value of a header, empty when the header is missing."""
        return next(iter(self.values(name)), "")

    @cached_property
    def text(self) -> str:
        """The body as text. A charset that is unknown, or does not fit, counts as UTF-8."""
        match = _CHARSET.search(" ".join(self.values("Content-Type")))
        try:
            return self.body.decode(match[1] if match else "utf-8", "replace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")

    @cached_property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body, empty when there is none."""
        return _object(parse_or_none(self.text.lstrip("\ufeff")))

    def json_object(self, name: str) -> dict[str, Any]:
        """Return the member of the JSON object that is an object itself, empty without one."""
        return _object(self.json.get(name))

    @property
    def good(self) -> bool:
        """Return True if the status says that the receiver has the message."""
        return verdict_of_status(self.status) == Verdict.DELIVERED

    @property
    def is_page(self) -> bool:
        """Return True if the body is a web page, or a part of one that is declared as HTML."""
        if _PAGE.match(self.text):
            return True
        declared = "html" in "".join(self.values("Content-Type")).lower()
        return declared and self.text.lstrip("\ufeff \t\r\n").startswith("<")


def _object(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {}


@dataclass(frozen=True)
class Judgement:
    """What a response means, as its kind judges it.

    `detail` completes the sentence of the reason. `verdict` and `actor` replace those of the
    reason. `retry_after` is the vendor's field for the seconds to wait, unchecked.
    """

    reason: Reason
    detail: str = ""
    verdict: Verdict | None = None
    actor: Actor | None = None
    retry_after: object = None


Rule = Callable[[Response], Judgement]
PROXY_PAGE = Judgement(Reason.BODY_SAYS_ERROR, _WEB_PAGE, actor=Actor.PROXY)


def judge_by_status(response: Response, detail: str = "") -> Judgement:
    """Judge a response by its status alone."""
    if not response.good:
        return Judgement(Reason.HTTP_STATUS, detail, verdict_of_status(response.status))
    if response.incomplete:
        return Judgement(Reason.OK_TRUNCATED)
    return Judgement(Reason.OK)


def judge_by_body(rule: Rule, gone: Collection[int] = ()) -> Rule:
    """Return the rule of a kind whose receivers report the result in the body.

    `rule` judges every good response whose body is complete, and every bad status. `gone` are
    the statuses with which the vendor says that the webhook no longer exists.
    """

    def judge(response: Response) -> Judgement:
        if response.good and response.incomplete:
            return Judgement(response.incomplete, verdict=Verdict.RETRY)
        if response.good and response.is_page:
            return PROXY_PAGE
        if response.status not in gone:
            return rule(response)
        if response.is_page:
            return replace(judge_by_status(response, _WEB_PAGE), actor=Actor.PROXY)
        return replace(rule(response), verdict=Verdict.GONE)

    return judge


def judge_body(
    response: Response,
    accepted: bool,
    error: str = "",
    reason: Reason = Reason.OK,
    verdict: Verdict | None = None,
) -> Judgement:
    """Judge a response by whether its body says that the message was accepted.

    A bad status is judged by the status. `error` is the vendor's error message, `reason` the
    reason of an accepted message, and `verdict` the verdict on a refused one.
    """
    if not response.good:
        return judge_by_status(response, error)
    if accepted:
        return Judgement(reason)
    return Judgement(Reason.BODY_SAYS_ERROR, error or "it does not confirm the message", verdict)


def judge_by_member(name: str, *errors: str, reason: Reason = Reason.OK) -> Rule:
    """Return the rule of receivers that confirm a message with a text or number of this name.

    `errors` are the names of the members that describe an error.
    """

    def rule(response: Response) -> Judgement:
        value = response.json.get(name)
        accepted = number(value) is not None or (isinstance(value, str) and value != "")
        return judge_body(response, accepted, error_text(*map(response.json.get, errors)), reason)

    return rule


def judge_by_code(
    name: str, error: str, gone: Collection[int], waits: Mapping[int, object]
) -> Rule:
    """Return the rule of receivers whose body holds a code, 0 for success.

    `name` and `error` are the members with the code and its message. `gone` are the codes of a
    webhook that no longer exists. `waits` are the codes of a rate limit, with the seconds to wait
    (None if unknown).
    """

    def rule(response: Response) -> Judgement:
        value = response.json.get(name)
        code = number(value)
        detail = error_text(value, response.json.get(error))
        if code in gone:
            return Judgement(Reason.BODY_SAYS_ERROR, detail, Verdict.GONE)
        if code is not None and code in waits:
            return Judgement(Reason.BODY_SAYS_ERROR, detail, Verdict.RETRY, retry_after=waits[code])
        return judge_body(response, code == 0, detail)

    return rule


def number(value: object) -> int | None:
    """Return the value if it is an integer, else None; a boolean is not an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


def error_text(*parts: object) -> str:
    """Return the parts of a vendor's error message as one text, whatever their types."""
    flat: list[object] = []
    for part in parts:
        if isinstance(part, dict):
            flat += part.values()
        elif isinstance(part, list):
            flat += part
        else:
            flat.append(part)
    return ": ".join(filter(None, map(to_text, flat)))
