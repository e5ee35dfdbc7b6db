"""What a message for people says of an alert, and how a text is cut to what a vendor takes."""

import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from delivery.alerts.alert import Alert, AlertStatus
from delivery.guard.url import MAX_URL_LENGTH, InvalidUrl, parse_url

MARK = "…"
MOST_FACTS, MOST_LETTERS = 20, 4000
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SEVERITIES = {
    "critical": ("critical", "fatal", "emergency", "page", "disaster", "p1", "sev1"),
    "error": ("error", "err", "high", "major", "p2", "sev2"),
    "warning": ("warning", "warn", "medium", "minor", "average", "p3", "sev3"),
    "info": (
        "info",
        "information",
        "informational",
        "low",
        "notice",
        "debug",
        "none",
        "ok",
        "p4",
        "p5",
        "sev4",
    ),
}


def utf16_length(text: str) -> int:
    """The length in UTF-16 units, as most vendors count characters; never less than any other count of characters."""
    return len(text.encode("utf-16-le", "replace")) // 2


def utf8_length(text: str) -> int:
    """The length in bytes of UTF-8."""
    return len(text.encode("utf-8", "replace"))


def json_length(text: str) -> int:
    """The length in bytes as a text of a JSON message."""
    return utf8_length(json.dumps(text, ensure_ascii=False)) - 2


def truncate(
    text: str,
    most: int,
    measure: Callable[[str], int] = utf16_length,
    escape: Callable[[str], str] = str,
) -> str:
    """The text, escaped; where that is longer than `most`, as much of it as fits with a mark at its end."""
    whole = escape(text[: most + 1])
    if len(text) <= most and measure(whole) <= most:
        return whole
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(escape(text[:middle]) + MARK) <= most:
            low = middle
        else:
            high = middle - 1
    return escape(text[:low].rstrip()) + MARK if most >= measure(MARK) else ""


@dataclass(frozen=True)
class AlertText:
    """An alert in words. Every text is free of control characters but line ends, and may be of any length."""

    alert: Alert

    @property
    def closed(self) -> bool:
        """Whether the alert is over."""
        return self.alert.status == AlertStatus.CLOSED

    @cached_property
    def name(self) -> str:
        """The alert's name, in one line."""
        return " ".join(clean(self.alert.name).split()) or "Alert"

    @property
    def state(self) -> str:
        """`FIRING` or `RESOLVED`."""
        return "RESOLVED" if self.closed else "FIRING"

    @property
    def title(self) -> str:
        """`FIRING: disk almost full`."""
        return f"{self.state}: {self.name}"

    @property
    def color(self) -> int:
        """Green when it is over, else red."""
        return 0x2E8540 if self.closed else 0xD0342C

    @cached_property
    def summary(self) -> str:
        """What the annotations say; empty when they say nothing."""
        given = self.alert.annotations
        return next(
            (
                text
                for key in ("summary", "description", "message")
                if (text := clean(given.get(key, "")).strip())
            ),
            "",
        )

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """The labels with a value, in the order of their names, at most twenty."""
        labels = [
            (name, text)
            for name, text in sorted(self.alert.labels.items())
            if text.strip() and name != "alertname"
        ]
        shown = [
            (clean(name[:MOST_LETTERS]).strip(), clean(text[:MOST_LETTERS]).strip())
            for name, text in labels[:MOST_FACTS]
        ]
        return [(name, text) for name, text in shown if name and text]

    @cached_property
    def link(self) -> str:
        """The alert's own page in ASCII without quotes and parentheses; empty when it is no URL that a vendor would take."""
        try:
            url = quote(parse_url(self.alert.url).url, "%/:?#[]@!$&*+,;=~")
        except InvalidUrl:
            return ""
        return url if len(url) <= MAX_URL_LENGTH else ""

    @cached_property
    def severity(self) -> str:
        """`critical`, `error`, `warning` or `info`, from the label `severity` or `priority`; `error` when neither says."""
        given = self.alert.labels.get("severity") or self.alert.labels.get("priority") or ""
        return next(
            (level for level, words in _SEVERITIES.items() if given.strip().lower() in words),
            "error",
        )

    @property
    def key(self) -> str:
        """What a vendor knows the alert by: the same for open and closed, at most 71 plain letters."""
        known = self.alert.id or json.dumps([self.alert.name, sorted(self.alert.labels.items())])
        plain = re.fullmatch(r"[\w.:-]{1,64}", known, re.ASCII)
        return f"tocsin-{known if plain else hashlib.sha256(known.encode('utf-8', 'replace')).hexdigest()}"

    def text(self) -> str:
        """All of it but the title, line by line."""
        return "\n".join(
            [
                *([self.summary] if self.summary else []),
                *(f"{name}: {value}" for name, value in self.facts),
            ]
        )


def clean(text: str) -> str:
    """The text without control characters; what ends a line is a line end."""
    return _CONTROL.sub(
        lambda found: {"\t": " ", "\r": "\n"}.get(found[0], ""), text.replace("\r\n", "\n")
    )


def escape_html(text: str) -> str:
    """The text for vendors that read tags, so that it holds none (and no `<!channel>`)."""
    return html.escape(text, quote=False)


def break_mentions(text: str) -> str:
    """The text with a blank of no width behind what could begin a mention or end a link: for vendors that know no escaping."""
    return re.sub(r"[<@*\]]", "\\g<0>\u200b", text)


def escape_markdown(text: str) -> str:
    """The text for vendors that read Markdown, so that it holds none, and no mention."""
    return re.sub(
        r"([<@])|[\\`*_~|\[\]()#>]",
        lambda found: f"{found[0]}\u200b" if found[1] else f"\\{found[0]}",
        text,
    )


def integer(text: str) -> int | str:
    """The number that the text is, where a vendor tells numbers from names; else the text."""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 19 else text


def without_empty(**parts: Any) -> dict[str, Any]:
    """The parts that say something: vendors refuse empty ones."""
    return {name: part for name, part in parts.items() if part}
