"""What receivers speak: one file each. A module of this folder with a `KIND` is a kind, and needs no other change."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import parse_qsl, quote

from delivery.alert import Alert
from delivery.answer import Answer, Judgement, by_status
from delivery.outcome import Repair
from delivery.settings import Settings
from delivery.target import Target
from delivery.wording import cut, octets, units


@dataclass(frozen=True)
class Event:
    """What a message tells: an alert, the number of its delivery, the time (epoch milliseconds), whether it is a repeat."""

    alert: Alert
    number: int
    at: int
    repeated: bool = False

    @property
    def stamp(self) -> int:
        """The time as signatures name it: no negative number, and none of thousands of digits."""
        return min(max(self.at, 0), 10**15)


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
class Shape:
    """How the URLs of a vendor look: patterns of the whole host and of the whole path.

    What the path's named groups and the named values of the `query` hold goes into the options of these names, and then the
    origin alone (with the group `base`) is left for the URL field. A shape without a `host` fits any and is only a guess.
    """

    path: str
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    splits: bool = False


@dataclass(frozen=True)
class Pasted:
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
        return octets if self.unit == "bytes" else units

    def cut(self, text: str, escape: Callable[[str], str] = str) -> str:
        """The text, escaped, and cut to this limit."""
        return cut(text, self.most, self.measure, escape)

    def fill(self, head: str, text: str, tail: str, escape: Callable[[str], str]) -> str:
        """The text between head and tail, cut so that all of it fits; a tail that would take half of it is left out."""
        tail = tail if self.measure(tail) <= self.most // 2 else ""
        return (head + cut(text, self.most - self.measure(head) - self.measure(tail), self.measure, escape) + tail).strip()


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
    shapes: tuple[Shape, ...] = ()
    limits: tuple[Limit, ...] = ()
    pace: tuple[tuple[int, float], ...] = ()
    signs_body: bool = False
    uses: frozenset[str] = frozenset()
    starters: Mapping[str, Repair] = field(default_factory=dict)
    complete: Callable[[Target, Settings, Event], Target] = lambda target, _settings, _event: target
    headers: Callable[[Settings], list[tuple[str, str]]] = lambda _settings: []
    judge: Callable[[Answer], Judgement] = by_status
    repair: Callable[[Answer, Settings], Repair | None] = lambda _answer, _settings: None
    warn: Callable[[Target], str] = lambda _target: ""

    def recognise(self, target: Target) -> Pasted | None:
        """What the URL says when it is one of this kind's; never judged by a part of the host or of the query."""
        for shape in self.shapes:
            path = re.fullmatch(shape.path, target.path.rstrip("/"))
            if path and re.fullmatch(shape.host or ".*", target.host):
                return self._split(shape, path, target)
        return None

    def _split(self, shape: Shape, path: re.Match, target: Target) -> Pasted:
        given = dict(parse_qsl(target.query))
        found = {**path.groupdict(), **{option: given.get(name, "") for name, option in shape.query.items()}}
        base = found.pop("base", None) or ""
        options = {name: text for name, text in found.items() if text}
        splits = shape.splits or bool(options)
        return Pasted(self, target.origin + base if splits else target.url, options, certain=bool(shape.host))


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in the order of the labels."""
    found = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {kind.name: kind for kind in sorted((module.KIND for module in found), key=lambda kind: kind.label.lower())}


def recognise(target: Target) -> Pasted | None:
    """The kind that a URL belongs to; one with a host of its own before a guess."""
    found = [pasted for kind in kinds().values() if (pasted := kind.recognise(target))]
    return next((pasted for pasted in found if pasted.certain), found[0] if found else None)


def dumps(value: object) -> str:
    """The value as compact JSON, its letters kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def below(target: Target, path: str, done: str = "") -> Target:
    """The target with `path` behind its own, unless it ends so already (or as `done` says): a bare base URL is completed."""
    own = target.path.rstrip("/")
    return replace(target, path=own if re.search(f"({done or re.escape(path)})$", own) else own + path)


def segment(text: str) -> str:
    """The text as one segment of a path."""
    return quote(text, ":", errors="replace")


def asking(target: Target, **values: str) -> Target:
    """The target with these values in its query, each once; the rest of the query stays to the letter."""
    kept = [part for part in target.query.split("&") if part and part.partition("=")[0] not in values]
    return replace(target, query="&".join([*kept, *(f"{name}={quote(value, '')}" for name, value in values.items())]))
