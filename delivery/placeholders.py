"""The names that a custom body can hold as `{{ name }}`, and their values for an alert.

Of a group, the names below `alert.` say of the group what a message says of it (title, description,
severity, status, key), and all else of its most severe alert.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.alerts.alert import rfc3339, without_internal
from delivery.content.alert_text import AlertText
from delivery.content.links import DASHBOARD, OPEN_IN_TOCSIN, PANEL, RUNBOOK, SILENCE, find_link

# The names, each with its `meaning` and an `example`.
NAMES: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("names.toml").read_text(encoding="utf-8")
)
LABELS = "alert.labels."
ANNOTATIONS = "alert.annotations."
PREFIXES = (LABELS, ANNOTATIONS)


def _link(name: str) -> Callable[[AlertText], str]:
    return lambda text: find_link(text.event.alert, name)


def _tocsin_url(text: AlertText) -> str:
    urls = {link.name: link.url for link in text.all_links}
    return urls.get(OPEN_IN_TOCSIN, "")


_OF_ALERT: dict[str, Callable[[AlertText], object]] = {
    "id": lambda text: text.event.alert.id,
    "key": lambda text: text.dedup_key,
    "name": lambda text: text.event.alert.name,
    "status": lambda text: "closed" if text.closed else "open",
    "type": lambda text: text.event.alert.type,
    "severity": lambda text: text.severity,
    "title": lambda text: text.title,
    "subject": lambda text: text.subject,
    "summary": lambda text: text.reported_summary,
    "description": lambda text: text.reported_description,
    "value": lambda text: text.value,
    "url": lambda text: text.event.alert.url,
    "runbook_url": _link(RUNBOOK),
    "dashboard_url": _link(DASHBOARD),
    "panel_url": _link(PANEL),
    "silence_url": _link(SILENCE),
    "tocsin_url": _tocsin_url,
    "labels": lambda text: without_internal(text.event.alert.labels),
    "annotations": lambda text: without_internal(text.event.alert.annotations),
    "payload": lambda text: text.event.alert.payload,
    "starts_at": lambda text: rfc3339(text.event.alert.starts_at) or None,
    "starts_at_ms": lambda text: text.event.alert.starts_at,
    "ends_at": lambda text: rfc3339(text.event.alert.ends_at) or None,
    "ends_at_ms": lambda text: text.event.alert.ends_at,
    "duration": lambda text: text.duration,
    "duration_ms": lambda text: text.duration_ms if text.duration else None,
}


def _object(text: AlertText) -> dict[str, object]:
    """Return an alert as an object with the names below `alert.`."""
    return {name: value(text) for name, value in _OF_ALERT.items()}


def _count(text: AlertText, closed: bool) -> int:
    return sum(member.closed is closed for member in text.members)


_OF_GROUP: dict[str, Callable[[AlertText], object]] = {
    "title": lambda text: text.title,
    "key": lambda text: text.dedup_key,
    "labels": lambda text: without_internal(text.labels),
    "size": lambda text: len(text.members) + text.unlisted,
    "open": lambda text: _count(text, closed=False) + text.unlisted,
    "resolved": lambda text: _count(text, closed=True),
}
_VALUES: dict[str, Callable[[AlertText], object]] = {
    **{f"alert.{name}": value for name, value in _OF_ALERT.items()},
    "alerts": lambda text: list(map(_object, text.members)),
    **{f"group.{name}": value for name, value in _OF_GROUP.items()},
    "group": lambda text: {name: value(text) for name, value in _OF_GROUP.items()},
    "message.id": lambda text: text.event.message_id,
    "message.at": lambda text: rfc3339(text.event.at),
    "message.event": lambda text: text.event_name,
    "message.summary": lambda text: text.summary,
}


@dataclass(frozen=True)
class PlaceholderValues(Mapping[str, object]):
    """The value of every name for an alert or a group, made when it is used.

    An unknown time or duration is None, and so is an absent payload.
    """

    text: AlertText

    def __getitem__(self, name: str) -> object:
        if name in _VALUES:
            return _VALUES[name](self.text)
        for prefix, texts in self._texts():
            if name.startswith(prefix):
                return texts[name.removeprefix(prefix)]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from _VALUES
        for prefix, texts in self._texts():
            yield from (prefix + name for name in texts)

    def __len__(self) -> int:
        return sum(1 for _name in self)

    def _texts(self) -> tuple[tuple[str, Mapping[str, str]], ...]:
        alert = self.text.event.alert
        return (LABELS, alert.labels), (ANNOTATIONS, alert.annotations)


def is_known(name: str) -> bool:
    """Return True if a template can hold this name."""
    return name in NAMES or (name.startswith(PREFIXES) and name not in PREFIXES)
