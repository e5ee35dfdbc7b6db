"""Which alerts are meant: matchers of labels, written and judged as in Alertmanager (`severity="critical", team=~"db|web"`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from delivery.alerts.alert import Alert
from delivery.json_text import place

MOST_MATCHERS, MOST_BYTES = 20, 4096
_QUOTED, _BLANKS = r'"(?P<quoted>(?:[^"\\\n]|\\[^\n])*)"', r"[^\S\n]*"
_NAME = re.compile(rf"(?:{_QUOTED}|(?P<bare>[a-zA-Z_][a-zA-Z0-9_.-]*)){_BLANKS}")
_OPERATOR = re.compile(rf"(=~|!~|!=|=){_BLANKS}")
# Bare values hold nothing that Alertmanager reserves, and none of the quotation marks that text programs put for plain ones.
_VALUE = re.compile(rf"(?:{_QUOTED}|(?P<bare>[^\s{{}}!=~,\\\"'`“”„‘’«»]+)){_BLANKS}")
_SEPARATOR = re.compile(r"\s*,\s*|\n\s*")
_BEGIN, _END = re.compile(r"\s*(\{?)\s*"), re.compile(r"\s*(\}?)\s*\Z")
_EXPECTED = {
    _NAME: 'write the name of a label here, as in severity="critical"; with other signs than _ . - in double quotes.',
    _OPERATOR: "write = != =~ or !~ here, and then a value; a name with other signs than _ . - stands in double quotes.",
    _VALUE: r'write a value here: one word, or a text between two " on one line; in it, \" is a quote and \n a line end.',
    _SEPARATOR: "write a comma or begin a line before the next matcher; a value with blanks or signs stands in double quotes.",
}
# RE2, as in Alertmanager: no expression takes longer than its own length times that of the text, whoever wrote them.
_OPTIONS = re2.Options()
_OPTIONS.log_errors, _OPTIONS.never_capture, _OPTIONS.max_mem = (
    False,
    True,
    1 << 20,
)  # prints nothing, keeps no groups


class MatcherError(ValueError):
    """A text that does not say which alerts are meant: where it goes wrong, and what to write there."""


@dataclass(frozen=True)
class Matcher:
    """What the value of one label has to be, or must not be."""

    name: str
    operator: str
    value: str
    regex: Any = field(default=None, repr=False, compare=False)

    def meets(self, text: str) -> bool:
        """Whether a label of this value is meant; a regular expression has to match all of it."""
        hit = (
            bool(self.regex.fullmatch(text.encode("utf-8", "replace")))
            if self.regex
            else text == self.value
        )
        return hit is not self.operator.startswith("!")


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Matcher, ...]:
    """The matchers of a text, with commas or line ends between them; none means every alert. Raises MatcherProblem."""
    octets, reader, found = text.encode("utf-8", "replace"), _Reader(text), []
    if len(octets) > MOST_BYTES or octets.decode() != text:
        raise MatcherError(f"Write at most {MOST_BYTES:,} bytes of whole characters.")
    begin = reader.take(_BEGIN)
    while not (end := _END.match(text, reader.at)):
        found.append(reader.matcher())
        if not _END.match(text, reader.at):
            reader.take(_SEPARATOR)
    if bool(begin[1]) != bool(end[1]):
        raise reader.problem(
            "put braces around all matchers, or leave them out: one of the two is missing."
        )
    if len(found) > MOST_MATCHERS:
        raise MatcherError(
            f"These are {len(found)} matchers; at most {MOST_MATCHERS} are possible."
        )
    return tuple(found)


def matches(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether an alert with these labels meets every matcher; a label that it does not have is empty. Never raises."""
    return all(one.meets(labels.get(one.name, "")) for one in matchers)


def labels_of(alert: Alert) -> dict[str, str]:
    """What matchers see of an alert: its labels, and its name as `alertname` unless there is such a label."""
    return {"alertname": alert.name, **alert.labels}


class _Reader:
    """Goes through a text piece by piece."""

    def __init__(self, text: str):
        self.text, self.at = text, 0

    def take(self, pattern: re.Pattern) -> re.Match:
        """The piece of this pattern that begins here. Raises MatcherProblem."""
        piece = pattern.match(self.text, self.at)
        if piece is None:
            raise self.problem(_EXPECTED[pattern])
        self.at = piece.end()
        return piece

    def matcher(self) -> Matcher:
        """The matcher that begins here."""
        name, operator, begin, value = (
            _text(self.take(_NAME)),
            self.take(_OPERATOR)[1],
            self.at,
            _text(self.take(_VALUE)),
        )
        try:
            return Matcher(
                name,
                operator,
                value,
                re2.compile(value.encode(), _OPTIONS) if "~" in operator else None,
            )
        except re2.error as bad:
            self.at = begin
            raise self.problem(
                f"this is no regular expression of RE2 ({bad.args[0].decode('utf-8', 'replace')})."
            ) from None

    def problem(self, words: str) -> MatcherError:
        return MatcherError(f"{place(self.text, self.at)}: {words}")


def _text(piece: re.Match) -> str:
    r"""What a bare or quoted piece stands for. As in Alertmanager, a backslash before any other sign stays: `db\d+`."""
    escapes = {'\\"': '"', r"\n": "\n", r"\\": "\\"}
    return piece["bare"] or re.sub(
        r"\\.", lambda escape: escapes.get(escape[0], escape[0]), piece["quoted"]
    )
