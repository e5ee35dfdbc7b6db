"""An alert as messages see it. Reading one is total: any part may be missing, null, empty or of the wrong type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class AlertStatus(StrEnum):
    """Whether the monitored condition holds."""

    OPEN = "open"
    CLOSED = "closed"


UNNAMED = "Unnamed alert"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Alert:
    """One event of a monitored thing. Times are milliseconds since the epoch; every text is valid UTF-8."""

    id: str = ""
    name: str = UNNAMED
    status: AlertStatus = AlertStatus.OPEN
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
            id=to_text(given.get("id")),
            name=to_text(given.get("name")).strip()
            or labels.get("alertname", "").strip()
            or UNNAMED,
            status=AlertStatus.CLOSED
            if to_text(given.get("status")).lower() in ("closed", "resolved")
            else AlertStatus.OPEN,
            type="error" if to_text(given.get("type")).lower() == "error" else "metric",
            labels=labels,
            annotations=_texts(given.get("annotations")),
            starts_at=milliseconds(given.get("starts_at")),
            ends_at=milliseconds(given.get("ends_at")),
            url=to_text(given.get("url")),
        )


def to_text(value: object) -> str:
    """The value as text: None is empty, true and numbers are spelled as in JSON, other things are their JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None:
        return ""
    try:
        return to_text(
            json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__)
        )
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
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
            milliseconds=1
        )
    except (ValueError, OverflowError):
        return None


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {to_text(name): to_text(one) for name, one in value.items() if to_text(name)}
