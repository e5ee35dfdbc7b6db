"""An alert as messages see it.

Reading an alert never raises: any part may be missing, null, empty or of the wrong type.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from delivery.guard.url import encode_unsafe


class AlertStatus(StrEnum):
    """Whether the monitored condition holds."""

    OPEN = "open"
    CLOSED = "closed"


UNNAMED = "Unnamed alert"
PAYLOAD = "payload"  # the annotation with the payload of a channel of Uptrace
STATUS_NAMES = {
    "": AlertStatus.OPEN,
    "open": AlertStatus.OPEN,
    "firing": AlertStatus.OPEN,
    "closed": AlertStatus.CLOSED,
    "resolved": AlertStatus.CLOSED,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_YEAR_1 = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_YEAR_10000 = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND + 1


@dataclass(frozen=True)
class Alert:
    """One event of a monitored condition.

    Times are milliseconds since the epoch; every string is valid UTF-8. `links` has further URLs of
    its source by `panel`, `dashboard` and `silence`; `value` is what the source measured.
    """

    id: str = ""
    name: str = UNNAMED
    status: AlertStatus = AlertStatus.OPEN
    type: str = "metric"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: int | None = None
    ends_at: int | None = None
    url: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    value: str = ""

    @property
    def closed(self) -> bool:
        """Whether the monitored condition has ended."""
        return self.status == AlertStatus.CLOSED

    @property
    def payload(self) -> object:
        """The JSON value that Uptrace sends beside the alert; None without one."""
        text = self.annotations.get(PAYLOAD, "")
        try:
            return json.loads(text) if text else None
        except (ValueError, RecursionError):
            return text

    @classmethod
    def from_json(cls, value: object) -> "Alert":
        """Return the alert of a JSON value in the format of `POST /api/v1/alerts`."""
        members = value if isinstance(value, Mapping) else {}
        labels = _string_map(members.get("labels"))
        return cls(
            id=to_text(members.get("id")),
            name=name_or_label(to_text(members.get("name")), labels) or UNNAMED,
            status=to_status(members.get("status")),
            type=to_type(to_text(members.get("type")).lower()),
            labels=labels,
            annotations=_string_map(members.get("annotations")),
            starts_at=milliseconds(members.get("starts_at")),
            ends_at=milliseconds(members.get("ends_at")),
            url=encode_unsafe(to_text(members.get("url"))),
            links=_string_map(members.get("links")),
            value=to_text(members.get("value")),
        )


def name_or_label(name: str, labels: Mapping[str, str]) -> str:
    """Return the name, or the label `alertname` without one; empty without both."""
    return name.strip() or labels.get("alertname", "").strip()


def without_internal(texts: Mapping[str, str]) -> dict[str, str]:
    """Return labels or annotations without the internal ones, whose names begin with `__`.

    Grafana (`__alert_rule_uid__`, `__value_string__`) and Prometheus use such names for themselves.
    They identify an alert and can be matched, but no message and no page lists them.
    """
    return {name: text for name, text in texts.items() if not name.startswith("__")}


def to_status(value: object) -> AlertStatus:
    """Return the status that a value names; open for any other value."""
    return STATUS_NAMES.get(to_text(value).lower(), AlertStatus.OPEN)


def to_type(text: str) -> str:
    """Return the type of an alert: `error`, or `metric` for any other text."""
    return "error" if text == "error" else "metric"


def to_text(value: object) -> str:
    """Return a string unchanged, nothing for None, and the JSON of any other value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return to_json(value)


def to_json(value: object) -> str:
    """Return the JSON of a value; empty if it has none."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__)
    except (ValueError, TypeError, RecursionError):
        return ""
    return text.encode("utf-8", "replace").decode()


def milliseconds(value: object) -> int | None:
    """Return a time in milliseconds from a number of them or from RFC 3339.

    Anything else, and a time outside the years 1 to 9999, is None.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _from_rfc3339(value)
    if isinstance(value, int | float) and _YEAR_1 <= value < _YEAR_10000:
        return int(value)
    return None


# A message states a time several times, and the messages of a burst have many times in common.
@lru_cache(maxsize=1024)
def rfc3339(time: float | None) -> str:
    """Return a time in milliseconds as `2026-03-02T09:15:00.120Z`.

    None and a time outside the years 1 to 9999 are empty.
    """
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
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def _string_map(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    pairs = {to_text(name): to_text(text) for name, text in value.items()}
    pairs.pop("", None)
    return pairs
