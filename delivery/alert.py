"""An alert as messages see it. Reading one is total: any part may be missing, null, empty or of the wrong type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

OPEN, CLOSED = "open", "closed"
UNNAMED = "Unnamed alert"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOSTILE = "\"'\\ </script><b>&amp; {{ alert.name }} \r\n\t\x00\x1b[31m \u202egnp\u202c \u2028 🔔"


@dataclass(frozen=True)
class Alert:
    """One event of a monitored thing. Times are milliseconds since the epoch; every text is valid UTF-8."""

    id: str = ""
    name: str = UNNAMED
    status: str = OPEN
    type: str = "metric"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: int | None = None
    ends_at: int | None = None
    url: str = ""

    @classmethod
    def read(cls, parts: object) -> "Alert":
        """The alert that `parts` describes (the shape of `POST /api/v1/alerts`). Never raises, whatever it is given."""
        given = parts if isinstance(parts, Mapping) else {}
        labels = _texts(given.get("labels"))
        return cls(
            id=text_of(given.get("id")),
            name=text_of(given.get("name")).strip() or labels.get("alertname", "").strip() or UNNAMED,
            status=CLOSED if text_of(given.get("status")).lower() in ("closed", "resolved") else OPEN,
            type="error" if text_of(given.get("type")).lower() == "error" else "metric",
            labels=labels,
            annotations=_texts(given.get("annotations")),
            starts_at=milliseconds(given.get("starts_at")),
            ends_at=milliseconds(given.get("ends_at")),
            url=text_of(given.get("url")),
        )


def sample_alert(now: int, url: str) -> Alert:
    """The alert of a test and of a preview: open, at `now`, and saying that it is only a test."""
    return Alert.read(
        {
            "id": str(now),
            "name": "Test alert from Tocsin",
            "labels": {"severity": "info", "source": "tocsin"},
            "annotations": {"summary": "This is a test: nothing is wrong."},
            "starts_at": now,
            "url": url,
        }
    )


def samples(now: int, url: str) -> dict[str, Alert]:
    """The alerts that previews show: the one of a test, the same closed, one with traps in every part, and a huge one."""
    opened, text = sample_alert(now, url), _HOSTILE
    hostile = dict.fromkeys(("id", "name", "url"), text) | {"labels": {text: text}, "annotations": {"summary": text}}
    huge = {
        "name": "Huge alert. " * 833 + "Huge",
        "labels": {f"label_{number}": "long value " * 45 + "value" for number in range(1, 201)},
        "annotations": dict.fromkeys(("summary", "description"), "One of many sentences. " * 1000),
    }
    return {
        "open": opened,
        "closed": replace(opened, status=CLOSED, starts_at=now - 26 * 60_000, ends_at=now),
        "hostile": Alert.read({**hostile, "starts_at": now}),
        "huge": Alert.read({**huge, "id": opened.id, "url": url, "starts_at": now}),
    }


def text_of(value: object) -> str:
    """The value as text: None is empty, true and numbers are spelled as in JSON, other things are their JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None:
        return ""
    try:
        return text_of(json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__))
    except (ValueError, TypeError, RecursionError):
        return ""


def milliseconds(value: object) -> int | None:
    """The time in milliseconds since the epoch, from a whole number of them or from RFC 3339; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _from_rfc3339(value)
    if isinstance(value, int | float) and rfc3339(value):
        return int(value)
    return None


def rfc3339(time: float | None) -> str:
    """`2026-03-02T09:15:00.120Z` of a time in milliseconds; empty for None and for times outside the years 1 to 9999."""
    if time is None:
        return ""
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except (OverflowError, ValueError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _from_rfc3339(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {text_of(name): text_of(one) for name, one in value.items() if text_of(name)}
