"""What a kind states about its receivers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from delivery.event import Event
from delivery.guard.url import ParsedUrl
from delivery.outcome import SuggestedFix
from delivery.response import Judgement, Response, judge_by_status
from delivery.settings import Settings
from delivery.text import truncate, utf8_length, utf16_length


@dataclass(frozen=True)
class Option:
    """One thing more that a kind needs, the form's `options-NAME`.

    `shape` is a pattern of what it usually looks like; another shape is only advised against. `lines` above 1 makes a text
    area; `check` raises ValueError with a sentence on a text that cannot be sent.
    """

    name: str
    label: str
    help: str = ""
    required: bool = False
    secret: bool = False
    shape: str = ""
    lines: int = 1
    check: Callable[[str], object] = lambda _text: None


@dataclass(frozen=True)
class UrlPattern:
    """How the URLs of a vendor look: patterns of the whole host and of the whole path.

    What the path's named groups and the named values of the `query` hold goes into the options of these names, and then the
    origin alone (with the group `base`) is left for the URL field. A shape without a `host` fits any and is only a guess.
    """

    path: str
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    splits: bool = False


@dataclass(frozen=True)
class RecognizedUrl:
    """What a pasted URL says by itself: what stays in the URL field, and options."""

    kind: "Kind"
    url: str
    options: Mapping[str, str]
    certain: bool


@dataclass(frozen=True)
class Limit:
    """The longest text that the vendor takes, in `characters` or `bytes`: of one part of the body, or of the whole `body`."""

    most: int
    unit: str
    part: str = "body"

    @property
    def measure(self) -> Callable[[str], int]:
        """How long a text is in this unit."""
        return utf8_length if self.unit == "bytes" else utf16_length

    def truncate(self, text: str, escape: Callable[[str], str] = str) -> str:
        """The text, escaped, and cut to this limit."""
        return truncate(text, self.most, self.measure, escape)

    def fill(self, head: str, text: str, tail: str, escape: Callable[[str], str]) -> str:
        """The text between head and tail, cut so that all of it fits; a tail that would take half of it is left out."""
        tail = tail if self.measure(tail) <= self.most // 2 else ""
        return (
            head
            + truncate(
                text, self.most - self.measure(head) - self.measure(tail), self.measure, escape
            )
            + tail
        ).strip()


@dataclass(frozen=True)
class Kind:
    """One kind of receiver.

    `uses` names the form's fields that only some kinds have (`method`, `payload`, `body`). `body` gives the message's text;
    `complete` the target that is really requested; `headers` those that carry an option; `judge` what an answer means (it
    gets no redirect and no answer that broke off); `repair` a mend for it; `warn` what to tell of a URL. All are total.
    `starters` are bodies to begin with. `base` is the vendor's own server, `pace` its rate as pairs of a count and seconds.
    `signs_body` says that the body holds a signature that grows old.
    """

    name: str
    label: str
    help: str
    url_help: str
    body: Callable[[Settings, Event], str]
    docs: str = ""
    base: str = ""
    options: tuple[Option, ...] = ()
    url_patterns: tuple[UrlPattern, ...] = ()
    limits: tuple[Limit, ...] = ()
    rate_limit: tuple[tuple[int, float], ...] = ()
    signs_body: bool = False
    uses: frozenset[str] = frozenset()
    starters: Mapping[str, SuggestedFix] = field(default_factory=dict)
    complete_url: Callable[[ParsedUrl, Settings, Event], ParsedUrl] = (
        lambda target, _settings, _event: target
    )
    headers: Callable[[Settings], list[tuple[str, str]]] = lambda _settings: []
    judge: Callable[[Response], Judgement] = judge_by_status
    suggest_fix: Callable[[Response, Settings], SuggestedFix | None] = lambda _answer, _settings: (
        None
    )
    warn: Callable[[ParsedUrl], str] = lambda _target: ""

    def match_url(self, target: ParsedUrl) -> RecognizedUrl | None:
        """What the URL says when it is one of this kind's; never judged by a part of the host or of the query."""
        for shape in self.url_patterns:
            path = re.fullmatch(shape.path, target.path.rstrip("/"))
            if path and re.fullmatch(shape.host or ".*", target.host):
                return self._split(shape, path, target)
        return None

    def _split(self, shape: UrlPattern, path: re.Match, target: ParsedUrl) -> RecognizedUrl:
        given = dict(parse_qsl(target.query))
        found = {
            **path.groupdict(),
            **{option: given.get(name, "") for name, option in shape.query.items()},
        }
        base = found.pop("base", None) or ""
        options = {name: text for name, text in found.items() if text}
        splits = shape.splits or bool(options)
        return RecognizedUrl(
            self, target.origin + base if splits else target.url, options, certain=bool(shape.host)
        )
