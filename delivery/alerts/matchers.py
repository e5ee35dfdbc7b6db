"""Matchers of labels, written and evaluated as in Alertmanager.

Example: `severity="critical", team=~"db|web"`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from delivery.alerts.alert import Alert
from delivery.json_text import line_and_column

MAX_MATCHERS = 20
MAX_BYTES = 4096
_QUOTED = r'"(?P<quoted>(?:[^"\\\n]|\\[^\n])*)"'
_BLANKS = r"[^\S\n]*"
_NAME = re.compile(rf"(?:{_QUOTED}|(?P<bare>[a-zA-Z_][a-zA-Z0-9_.-]*)){_BLANKS}")
_OPERATOR = re.compile(rf"(=~|!~|!=|=){_BLANKS}")
# A bare value has no character that Alertmanager reserves, and no typographic quotation mark.
_VALUE = re.compile(rf"(?:{_QUOTED}|(?P<bare>[^\s{{}}!=~,\\\"'`“”„‘’«»]+)){_BLANKS}")
_SEPARATOR = re.compile(r"\s*,\s*|\n\s*")
_BEGIN = re.compile(r"\s*(\{?)\s*")
_END = re.compile(r"\s*(\}?)\s*\Z")
_ESCAPES = {'\\"': '"', r"\n": "\n", r"\\": "\\"}
_TO_ESCAPE = str.maketrans({text: escape for escape, text in _ESCAPES.items()})
_EXPECTED = {
    _NAME: (
        'write the name of a label, as in severity="critical"; '
        "put a name with other characters than letters, digits and _ . - in double quotes."
    ),
    _OPERATOR: (
        "write = != =~ or !~ and then a value; "
        "put a name with other characters than letters, digits and _ . - in double quotes."
    ),
    _VALUE: (
        'write a value: one word, or text between two " on one line; '
        r"in it, \" is a quote and \n a line break."
    ),
    _SEPARATOR: (
        "write a comma or start a new line before the next matcher; "
        "put a value with blanks or special characters in double quotes."
    ),
}
# RE2, as in Alertmanager: its time is linear in the length of the expression and of the text.
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.max_mem = 1 << 20


class MatcherError(ValueError):
    """A text is not a list of matchers; the message says where and what to write there."""


@dataclass(frozen=True)
class Matcher:
    """A condition on the value of one label."""

    name: str
    operator: str
    value: str
    regex: Any = field(default=None, repr=False, compare=False)

    def matches(self, text: str) -> bool:
        """Return True if a label with this value matches; an expression must match all of it."""
        if self.regex:
            equal = self.regex.fullmatch(text.encode("utf-8", "replace")) is not None
        else:
            equal = text == self.value
        return equal is not self.operator.startswith("!")

    def __str__(self) -> str:
        return f"{_written_name(self.name)}{self.operator}{_quote(self.value)}"


@lru_cache(maxsize=1024)
def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a text, separated by commas or line breaks; none match every alert.

    Raises:
        MatcherError: The text is not a list of matchers.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_BYTES or data.decode() != text:
        raise MatcherError(f"Write at most {MAX_BYTES:,} bytes of valid Unicode.")
    reader = _Reader(text)
    matchers = []
    begin = reader.read(_BEGIN)
    while not (end := reader.end()):
        matchers.append(reader.read_matcher())
        if not reader.end():
            reader.read(_SEPARATOR)
    if bool(begin[1]) != bool(end[1]):
        raise reader.error("put braces around all matchers or leave both out; one is missing.")
    if len(matchers) > MAX_MATCHERS:
        raise MatcherError(
            f"These are {len(matchers)} matchers; at most {MAX_MATCHERS} are allowed."
        )
    return tuple(matchers)


def matches(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Return True if labels satisfy every matcher; an absent label is empty. Never raise."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def write_matcher(name: str, value: str, operator: str = "=") -> str:
    """Return the text of a matcher, by default of one that an alert has exactly this value."""
    return f"{_written_name(name)}{operator}{_quote(value)}"


def _written_name(name: str) -> str:
    if re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.-]*", name):
        return name
    return _quote(name)


def _quote(text: str) -> str:
    return f'"{text.translate(_TO_ESCAPE)}"'


def explain_mismatch(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> str:
    """Return a sentence on the first matcher that labels do not satisfy; empty without one."""
    for matcher in matchers:
        text = labels.get(matcher.name, "")
        if matcher.matches(text):
            continue
        found = f"has no label {matcher.name}"
        if text:
            found = f"has {Matcher(matcher.name, '=', text)}"
        return f"The matcher {matcher} does not match: the alert {found}."
    return ""


def labels_of(alert: Alert) -> dict[str, str]:
    """Return an alert's labels for matching, with its name as `alertname` by default."""
    return {"alertname": alert.name, **alert.labels}


@dataclass
class _Reader:
    """Reads a text piece by piece."""

    text: str
    position: int = 0

    def read(self, pattern: re.Pattern) -> re.Match:
        """Return the piece of this pattern that begins here, and move behind it."""
        piece = pattern.match(self.text, self.position)
        if piece is None:
            raise self.error(_EXPECTED[pattern])
        self.position = piece.end()
        return piece

    def end(self) -> re.Match | None:
        """Return the end of the text with its closing brace, if it is reached."""
        return _END.match(self.text, self.position)

    def read_matcher(self) -> Matcher:
        """Return the matcher that begins here."""
        name = _unquote(self.read(_NAME))
        operator = self.read(_OPERATOR)[1]
        value_position = self.position
        value = _unquote(self.read(_VALUE))
        if "~" not in operator:
            return Matcher(name, operator, value)
        try:
            return Matcher(name, operator, value, re2.compile(value.encode(), _OPTIONS))
        except re2.error as error:
            self.position = value_position
            detail = error.args[0].decode("utf-8", "replace")
            raise self.error(f"this is not a valid RE2 regular expression ({detail}).") from None

    def error(self, message: str) -> MatcherError:
        return MatcherError(f"{line_and_column(self.text, self.position)}: {message}")


def _unquote(piece: re.Match) -> str:
    r"""Return the text of a bare or quoted piece.

    As in Alertmanager, a backslash before any other character stays: `db\d+`.
    """
    if piece["bare"]:
        return piece["bare"]
    return re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), piece["quoted"])
