"""The texts of an alert for messages that people read: summary, escaping and truncation."""

import hashlib
import html
import json
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from delivery.alerts.alert import without_internal
from delivery.event import Event
from delivery.guard.url import MAX_URL_LENGTH, InvalidUrl, parse_url
from delivery.settings import Settings

MARK = "…"
MAX_LABELS = 20
MAX_LABEL_LENGTH = 4000
DEFAULT_SEVERITY = "error"
_SEVERITY_NAMES = {
    "critical": "critical fatal emergency page disaster p1 sev1",
    "error": "error err high major p2 sev2",
    "warning": "warning warn medium minor average p3 sev3",
    "info": "info information informational low notice debug none ok p4 p5 sev4",
}
_SEVERITIES = {
    name: severity for severity, names in _SEVERITY_NAMES.items() for name in names.split()
}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_ZERO_WIDTH_SPACE = "\u200b"
_MENTIONS = {ord(letter): letter + _ZERO_WIDTH_SPACE for letter in "<@*]"}
_MARKDOWN = {ord(letter): f"\\{letter}" for letter in r"\`*_~|[]()#>"}
_MARKDOWN.update({ord(letter): letter + _ZERO_WIDTH_SPACE for letter in "<@"})


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units.

    Most vendors count characters this way, and no other count of characters is higher.
    """
    return len(text.encode("utf-16-le", "replace")) // 2


def utf8_length(text: str) -> int:
    """Return the length in bytes of UTF-8."""
    return len(text.encode("utf-8", "replace"))


def json_length(text: str) -> int:
    """Return the length in bytes inside a JSON string."""
    return utf8_length(json.dumps(text, ensure_ascii=False)) - 2


def truncate(
    text: str,
    max_length: int,
    measure: Callable[[str], int] = utf16_length,
    escape: Callable[[str], str] = str,
) -> str:
    """Return the escaped text, cut to fit and marked if it is too long.

    `max_length` is in the unit of `measure` and holds for the escaped text. No escape is cut apart.
    """
    if len(text) <= max_length:
        escaped = escape(text)
        if measure(escaped) <= max_length:
            return escaped
    room = max_length - measure(MARK)
    if room < 0:
        return ""
    ends = range(1, min(len(text), max_length) + 1)
    end = bisect_right(ends, room, key=lambda end: measure(escape(text[:end])))
    return escape(text[:end].rstrip()) + MARK


@dataclass(frozen=True)
class AlertText:
    """The texts of an event's alert, for a message of a channel with these settings.

    They hold no control characters except line feeds, and may be of any length: truncate them to
    the limits of the vendor.
    """

    event: Event
    settings: Settings = field(default_factory=Settings)

    @property
    def closed(self) -> bool:
        """Whether the alert is closed."""
        return self.event.alert.closed

    @cached_property
    def name(self) -> str:
        """The name of the alert on one line, never empty."""
        return one_line(self.event.alert.name) or "Alert"

    @property
    def state(self) -> str:
        """`FIRING` or `RESOLVED`."""
        return "RESOLVED" if self.closed else "FIRING"

    @property
    def title(self) -> str:
        """State and name, such as `FIRING: disk almost full`."""
        return f"{self.state}: {self.name}"

    @property
    def color(self) -> int:
        """Green for a closed alert, red for an open one, as an RGB number."""
        return 0x2E8540 if self.closed else 0xD0342C

    @cached_property
    def summary(self) -> str:
        """The first annotation of `summary`, `description` and `message` that has a text."""
        for key in ("summary", "description", "message"):
            text = clean(self.event.alert.annotations.get(key, "")).strip()
            if text:
                return text
        return ""

    @cached_property
    def labels(self) -> list[tuple[str, str]]:
        """The first 20 labels with a value, sorted by name, each a name and a value on one line.

        `alertname` and internal labels are not among them.
        """
        labels = without_internal(self.event.alert.labels)
        names = [name for name in sorted(labels) if name != "alertname" and labels[name].strip()]
        pairs = []
        for key in names[:MAX_LABELS]:
            name = one_line(key[:MAX_LABEL_LENGTH])
            value = one_line(labels[key][:MAX_LABEL_LENGTH])
            if name and value:
                pairs.append((name, value))
        return pairs

    @property
    def label_lines(self) -> str:
        """The labels as lines of `name: value`."""
        return "\n".join(f"{name}: {value}" for name, value in self.labels)

    @cached_property
    def link(self) -> str:
        """The URL of the alert, empty if vendors would refuse it.

        It is ASCII without quotes and parentheses, so that it can stand in any markup.
        """
        address, mark, fragment = self.event.alert.url.partition("#")
        try:
            link = parse_url(address).url + mark + fragment
        except InvalidUrl:
            return ""
        url = quote(link, "%/:?#[]@!$&*+,;=~")
        return url if len(url) <= MAX_URL_LENGTH else ""

    @property
    def markdown_link(self) -> str:
        """The link in Markdown, empty if there is none."""
        return f"[Open alert]({self.link})" if self.link else ""

    @cached_property
    def severity(self) -> str:
        """`critical`, `error`, `warning` or `info`, from the label `severity` or `priority`."""
        labels = self.event.alert.labels
        name = labels.get("severity") or labels.get("priority") or ""
        return _SEVERITIES.get(name.strip().lower(), DEFAULT_SEVERITY)

    @property
    def level(self) -> str:
        """`closed` for a closed alert, else the severity: the key of a vendor's priorities."""
        return "closed" if self.closed else self.severity

    @property
    def dedup_key(self) -> str:
        """The key that vendors know the alert by, open or closed: at most 71 plain characters."""
        alert = self.event.alert
        key = alert.id or json.dumps([alert.name, sorted(alert.labels.items())])
        if not re.fullmatch(r"[\w.:-]{1,64}", key, re.ASCII):
            key = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        return f"tocsin-{key}"

    @property
    def details(self) -> str:
        """The summary and the labels, a line each; empty if there are none."""
        return f"{self.summary}\n{self.label_lines}".strip("\n")

    @property
    def details_or_title(self) -> str:
        """The details, or the title where a vendor refuses an empty text."""
        return self.details or self.title


def clean(text: str) -> str:
    """Return the text without control characters, with `\\n` as its only line end."""
    lines = "\n".join(text.replace("\t", " ").splitlines())
    return _CONTROL.sub("", lines)


def one_line(text: str) -> str:
    """Return the text with single blanks for all white space, and without control characters.

    A name or a value with a line break could pass for another line of a message.
    """
    return " ".join(clean(text).split())


def escape_html(text: str) -> str:
    """Escape the text for vendors that read tags (also `<!channel>` in Slack)."""
    return html.escape(text, quote=False)


def break_mentions(text: str) -> str:
    """Disarm mentions and links with zero-width spaces, for vendors without an escape."""
    return text.translate(_MENTIONS)


def escape_markdown(text: str) -> str:
    """Escape the text for vendors that read Markdown, and disarm mentions."""
    return text.translate(_MARKDOWN)


def without_empty(**parts: Any) -> dict[str, Any]:
    """Return the parts that are not empty: vendors refuse empty ones."""
    return {name: part for name, part in parts.items() if part}
