"""What a kind declares about its receivers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from delivery.content.alert_text import AlertText
from delivery.guard.url import ParsedUrl
from delivery.kinds.urls import with_path, with_query
from delivery.outcome import SuggestedFix
from delivery.response import Judgement, Response, judge_by_status
from delivery.settings import Settings
from delivery.text import Escape, truncate, utf8_length, utf16_length, without_empty

_MEASURES = {"bytes": utf8_length, "characters": utf16_length}


@dataclass(frozen=True)
class Option:
    """A field that only this kind has: `options-NAME` of the form.

    `pattern` is the usual form of a value; another form gets a hint, no error. A text area has more
    than 1 of `lines`. `check` raises ValueError with a sentence if a value cannot be sent.
    `header` is the request header that carries the value, behind `prefix`. With `any_letters`, the
    value may have letters that no header can carry. With `choices`, it is one of these values,
    each with its label; the first one is empty.
    """

    name: str
    label: str
    help: str = ""
    required: bool = False
    secret: bool = False
    pattern: str = ""
    lines: int = 1
    check: Callable[[str], object] = lambda _text: None
    header: str = ""
    prefix: str = ""
    any_letters: bool = False
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def is_credential(self) -> bool:
        """Whether a receiver that rejects credentials may mean this value."""
        return bool(self.header) or (self.required and self.secret)

    def choice_of(self, settings: Settings) -> str:
        """Return the choice of a channel; an unknown one counts as the first, the empty one."""
        value = settings.option(self.name)
        return value if value in dict(self.choices) else ""


@dataclass(frozen=True)
class UrlPattern:
    """The form of a vendor's URLs: patterns of the whole path and of the whole host.

    Named groups of the path become options, and so do values of the query: `query` maps their names
    to names of options. Only the origin (and the group `base`) is then left in the URL field; with
    `origin_only` it always is. A pattern without a host fits any host and is only a guess. `needs`
    are the values of the query without which the URL cannot work.
    """

    path: str
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    origin_only: bool = False
    needs: tuple[str, ...] = ()

    def match(self, url: ParsedUrl) -> re.Match | None:
        """Return the match of the path if the URL has this form."""
        if not re.fullmatch(self.host or ".*", url.host):
            return None
        return re.fullmatch(self.path, url.path.rstrip("/"))

    def missing(self, url: ParsedUrl) -> list[str]:
        """Return the names of the values that the URL needs and lacks."""
        names = dict(parse_qsl(url.query))
        return [name for name in self.needs if name not in names]


@dataclass(frozen=True)
class RecognizedUrl:
    """What a pasted URL reveals: its kind, the URL to keep in the field, and options."""

    kind: "Kind"
    url: str
    options: Mapping[str, str]
    certain: bool


@dataclass(frozen=True)
class Limit:
    """The longest text that the vendor accepts, in `characters` or `bytes`.

    It holds for one `part` of the body, or for the whole `body`.
    """

    maximum: int
    part: str = "body"
    unit: str = "characters"

    @property
    def measure(self) -> Callable[[str], int]:
        """The function that returns the length of a text in this unit."""
        return _MEASURES[self.unit]

    def truncate(self, text: str, escape: Escape = str) -> str:
        """Return the text, escaped and cut to this limit."""
        return truncate(text, self.maximum, self.measure, escape)


@dataclass(frozen=True)
class Kind:
    """One kind of receiver. Its functions never raise, except `body` for a damaged template.

    Attributes:
        help, url_help: Sentences for the form.
        body: Returns the message as a JSON value, or as text that is sent unchanged.
        signs_body, signs_url: Whether the body, or the URL, holds a signature that expires.
        base: The vendor's own server, for a channel without a URL.
        path, query: Appended to the channel's URL, and set in its query.
        complete_url: Returns the URL to request, from the URL with path and query.
        judge: Judges a response; it gets none that is a redirect or that broke off.
        suggest_fix: Returns a known correction of the channel for a response.
        hints: What to do after a failure that names its cause, by a pattern to search in the status
            and the vendor's error; each names the fields to change.
        test_note: What becomes of a test at a receiver that keeps alerts open.
        closes_test: Whether a second message closes the alert of a test.
        keeps_incidents: Whether the receiver keeps an incident for each alert until it is resolved.
        url_hints: Hints on retired or special URLs, by a pattern to search in host and path.
        uses: The fields of the form that only some kinds have (`method`, `payload`, `body`).
        starters: Bodies to begin with.
        rate_limit: The vendor's limits, as pairs of a count and seconds.
        repeat_minutes: How often an open alert is sent to a receiver that may forget it (0: once).
    """

    name: str
    label: str
    help: str
    url_help: str
    body: Callable[[AlertText], object]
    docs: str = ""
    base: str = ""
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    url_patterns: tuple[UrlPattern, ...] = ()
    limits: tuple[Limit, ...] = ()
    rate_limit: tuple[tuple[int, float], ...] = ()
    repeat_minutes: int = 0
    signs_body: bool = False
    signs_url: bool = False
    uses: tuple[str, ...] = ()
    starters: Mapping[str, SuggestedFix] = field(default_factory=dict)
    complete_url: Callable[[ParsedUrl, AlertText], ParsedUrl] = lambda url, _alert: url
    judge: Callable[[Response], Judgement] = judge_by_status
    suggest_fix: Callable[[Response, Settings], SuggestedFix | None] = lambda *_: None
    hints: Mapping[str, str] = field(default_factory=dict)
    test_note: str = ""
    closes_test: bool = False
    keeps_incidents: bool = False
    url_hints: Mapping[str, str] = field(default_factory=dict)

    def request_url(self, url: ParsedUrl, alert: AlertText) -> ParsedUrl:
        """Return the URL that a message to the channel's URL is sent to."""
        if self.path:
            url = with_path(url, self.path)
        if self.query:
            url = with_query(url, self.query)
        return self.complete_url(url, alert)

    def url_hint(self, url: ParsedUrl) -> str:
        """Return a hint on a URL that is retired or special, empty for any other."""
        for pattern, hint in self.url_hints.items():
            if re.search(pattern, url.host + url.path):
                return hint
        form = next((form for form in self.url_patterns if form.match(url)), None)
        missing = form.missing(url) if form else []
        if missing:
            return f"This URL lacks its {' and '.join(missing)}: copy all of it again."
        return ""

    def hint_for(self, status: int, error: str) -> str:
        """Return what to do after a failure with this error of the vendor, empty if unknown."""
        for pattern, hint in self.hints.items():
            if re.search(pattern, f"{status} {error}", re.IGNORECASE):
                return hint
        if status in (401, 403):
            return self._credentials_hint()
        if status == 404 and self.path:
            return f"Enter only the server's address in the field “URL”: {self.path} is appended."
        return ""

    def _credentials_hint(self) -> str:
        """Return which field holds the token that the vendor rejected, empty if none does."""
        for option in self.options:
            if option.is_credential:
                return f"The receiver rejected the credentials: check the field “{option.label}”."
        if any(pattern.host for pattern in self.url_patterns):
            return "The receiver rejected the token in the URL: copy all of it into “URL” again."
        return ""

    def headers(self, settings: Settings) -> list[tuple[str, str]]:
        """Return the headers that carry options."""
        headers = []
        for option in self.options:
            value = settings.option(option.name)
            if option.header and value:
                headers.append((option.header, option.prefix + value))
        return headers

    def match_url(self, url: ParsedUrl) -> RecognizedUrl | None:
        """Return what a pasted URL reveals if it has the form of this kind's URLs.

        Only the whole host and the whole path count, never a part of them or of the query.
        """
        for pattern in self.url_patterns:
            path = pattern.match(url)
            if path:
                return self._recognize(pattern, path, url)
        return None

    def _recognize(self, pattern: UrlPattern, path: re.Match, url: ParsedUrl) -> RecognizedUrl:
        values = path.groupdict()
        base = values.pop("base", None) or ""
        query = dict(parse_qsl(url.query))
        for name, option in pattern.query.items():
            values[option] = query.get(name, "")
        options = without_empty(**values)
        remaining = url.url
        if pattern.origin_only or options:
            remaining = url.origin + base
        return RecognizedUrl(self, remaining, options, certain=bool(pattern.host))
