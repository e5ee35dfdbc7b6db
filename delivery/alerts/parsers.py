"""Alerts as they come in, read from the shapes that their senders have: parsed JSON goes in, `Incoming` comes out.

Our own shape is all or nothing. Of the others each alert stands for itself: what can be taken comes back beside the words on
what cannot. Every text must be valid Unicode; times come from the caller.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from clock import MINUTE
from delivery.alerts.alert import UNNAMED, Alert, AlertStatus, milliseconds, rfc3339, to_text
from delivery.alerts.routing import ReceivedAlert

MOST_ALERTS, MOST_LABELS, MOST_CHARACTERS = 10_000, 100, 64 * 1024
RESOLVE_TIMEOUT = 5 * MINUTE  # Alertmanager's default
STATUSES = {
    "": AlertStatus.OPEN,
    "open": AlertStatus.OPEN,
    "firing": AlertStatus.OPEN,
    "closed": AlertStatus.CLOSED,
    "resolved": AlertStatus.CLOSED,
}
Read = tuple[list[ReceivedAlert], list[str]]

_MOST_TOLD = 20
_PREFIXES = {"labels": "invalid label set: ", "annotations": "invalid annotations: "}
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,30})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NUMBER = re.compile("-?[0-9]{1,15}")
_UNSET = milliseconds("0001-01-01T00:00:00Z")  # how Go writes a time that is not set


class InvalidPayload(ValueError):
    """Nothing of it can be taken; `errors` has the words on members, by `index.member`."""

    def __init__(
        self, words: str, errors: dict[str, list[str]] | None = None, too_many: bool = False
    ):
        super().__init__(words)
        self.errors, self.too_many = errors or {}, too_many


class _Wrong(ValueError):
    """What is wrong with a member of an alert, or (empty) with all of it."""

    def __init__(self, member: str, words: str):
        super().__init__(words)
        self.member = member


def native(value: Any, now: int) -> Read:
    """One alert or a list of them, in the shape of `POST /api/v1/alerts`. Raises Unfit if a single one is wrong."""
    several = isinstance(value, list)
    found, wrong = _each(value if several else [value], _native, now)
    errors = {
        ".".join(filter(None, (str(index) * several, one.member))): [str(one)]
        for index, one in wrong[:_MOST_TOLD]
    }
    if wrong:
        where = "; ".join(
            _told(
                [f"{place or 'the alert'}: {words[0]}" for place, words in errors.items()],
                len(wrong),
            )
        )
        raise InvalidPayload(f"Nothing was stored. {where}.", errors)
    return found, []


def posted(value: Any, now: int) -> Read:
    """The list that Alertmanager's clients post to `/api/v2/alerts`. Raises Unfit when it is none."""
    if not isinstance(value, list):
        raise InvalidPayload("Nothing was stored. Send a list of alerts.")
    found, wrong = _each(value, _posted, now)
    return found, _told(
        [f"{_PREFIXES.get(one.member, '')}{one}" for _index, one in wrong], len(wrong)
    )


def webhook(value: Any, now: int) -> Read:
    """What Alertmanager and Grafana send to a webhook. Nothing but `alerts` is needed. Raises Unfit when that is missing."""
    alerts = value.get("alerts") if isinstance(value, dict) else None
    if not isinstance(alerts, list):
        raise InvalidPayload("Nothing was stored. There is no list “alerts” in it.")
    usual = value.get("status") or {"ok": "resolved"}.get(to_text(value.get("state")))
    found, wrong = _each(alerts, lambda given, _now: _told_of({"status": usual, **given}), now)
    return found, _told([f"alerts[{index}]: {one}" for index, one in wrong], len(wrong))


def uptrace(value: Any, _now: int) -> Read:
    """What Uptrace sends to a webhook: one alert, and the channel's own payload. Raises Unfit when there is no alert in it."""
    given = value.get("alert") if isinstance(value, dict) else None
    if not isinstance(given, dict) or not (given.get("id") or given.get("name")):
        raise InvalidPayload("Nothing was stored. There is no “alert” with an “id” in it.")
    # The wire says status, Uptrace's own help says state.
    status = STATUSES.get(
        to_text(given.get("status") or given.get("state")).lower(), AlertStatus.OPEN
    )
    times = {
        "starts_at": given.get("createdAt"),
        "ends_at": value.get("createdAt") if status == AlertStatus.CLOSED else None,
    }
    payload = value.get("payload")
    annotations = (
        {} if payload is None else {"payload": to_text([payload])[1:-1]}
    )  # JSON, also of a text
    alert = Alert.read(
        {**given, **times, "status": status, "labels": {}, "annotations": annotations}
    )
    # Two installations count their alerts from the same number on; what tells them apart is where their links lead.
    origin = alert.url.split("/", 3)[:3]
    try:
        return [_incoming(("uptrace", *origin, alert.id or alert.name), alert)], []
    except _Wrong as wrong:
        raise InvalidPayload(f"Nothing was stored. The alert: {wrong}.") from None


# --- one alert -----------------------------------------------------------------------------------------------------------


def _native(given: dict, _now: int) -> ReceivedAlert:
    key, name, url, status, kind = [
        _text(given, member) for member in ("key", "name", "url", "status", "type")
    ]
    labels, annotations = _pairs(given, "labels"), _pairs(given, "annotations")
    starts_at, ends_at = _time(given, "starts_at"), _time(given, "ends_at")
    name = name.strip() or labels.get("alertname", "").strip()
    if not name:
        raise _Wrong("name", "an alert needs a name")
    if status.lower() not in STATUSES:
        raise _Wrong("status", "this must be open or closed")
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise _Wrong("ends_at", "this is before starts_at")
    kind = "error" if kind == "error" else "metric"
    alert = Alert(
        "", name, STATUSES[status.lower()], kind, labels, annotations, starts_at, ends_at, url
    )
    return _incoming(
        ("key", key) if key else ("name", name, sorted(labels.items())), alert, ends_at
    )


def _posted(given: dict, now: int) -> ReceivedAlert:
    """As Alertmanager judges it, in its words (api/v2/api.go, types.go). Without a start it keeps the one that it had."""
    starts_at, ends_at = _time(given, "startsAt"), _time(given, "endsAt")
    labels, annotations = _pairs(given, "labels", without_empty=True), _pairs(given, "annotations")
    end = now + RESOLVE_TIMEOUT if ends_at is None else ends_at
    if starts_at is not None and end < starts_at:
        raise _Wrong("", "start time must be before end time")
    if not labels:
        raise _Wrong("", "at least one label pair required")
    name, status = (
        labels.get("alertname", "").strip() or UNNAMED,
        AlertStatus.OPEN if end > now else AlertStatus.CLOSED,
    )
    alert = Alert(
        "",
        name,
        status,
        "metric",
        labels,
        annotations,
        starts_at,
        ends_at,
        _text(given, "generatorURL"),
    )
    return _incoming(("labels", sorted(labels.items())), alert, end)


def _told_of(given: dict) -> ReceivedAlert:
    """An alert of a webhook, read with patience: its sender tells its end by itself, and sends no wrong one again."""
    url = given.get("generatorURL") or given.get("panelURL") or given.get("dashboardURL")
    times = {"starts_at": _set(given.get("startsAt")), "ends_at": _set(given.get("endsAt"))}
    alert = Alert.read(
        {
            **{name: given.get(name) for name in ("status", "labels", "annotations")},
            **times,
            "url": url,
        }
    )
    labels = {name: value for name, value in alert.labels.items() if value}
    if not labels:
        raise _Wrong("labels", "it has no labels, so nothing says which alert it is")
    return _incoming(("labels", sorted(labels.items())), alert)


def _incoming(identity: tuple, alert: Alert, closes_at: int | None = None) -> ReceivedAlert:
    """What is stored of it, under the hash of its identity, which begins with the family that it belongs to."""
    if max(len(alert.labels), len(alert.annotations)) > MOST_LABELS:
        raise _Wrong("", f"it has more than {MOST_LABELS} labels or annotations")
    texts = (*identity[1:2], alert.name, alert.url, *alert.labels, *alert.annotations)
    long = sum(map(len, (*texts, *alert.labels.values(), *alert.annotations.values())))
    if long > MOST_CHARACTERS:
        raise _Wrong("", f"it is longer than {MOST_CHARACTERS:,} characters")
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return ReceivedAlert(key, alert, closes_at if alert.status == AlertStatus.OPEN else None)


# --- parts ---------------------------------------------------------------------------------------------------------------


def _each(
    alerts: list, read: Callable[[dict, int], ReceivedAlert], now: int
) -> tuple[list[ReceivedAlert], list[tuple[int, _Wrong]]]:
    if len(alerts) > MOST_ALERTS:
        words = f"Nothing was stored. These are {len(alerts):,} alerts; send at most {MOST_ALERTS:,} at a time."
        raise InvalidPayload(words, too_many=True)
    found, wrong = [], []
    for index, given in enumerate(alerts):
        try:
            if not isinstance(given, dict):
                raise _Wrong("", "an alert is a JSON object")
            found.append(read(given, now))
        except _Wrong as one:
            wrong.append((index, one))
    return found, wrong


def _told(words: list[str], count: int) -> list[str]:
    """The words, and of very many only how many more there are."""
    return words[:_MOST_TOLD] + ([f"and {count - _MOST_TOLD:,} more"] if count > _MOST_TOLD else [])


def _text(given: dict, member: str) -> str:
    value = given.get(member)
    if (
        value is not None and type(value) is not str
    ):  # a number may be a text of another class (web.jsonbody)
        raise _Wrong(member, f"{member} must be a text")
    return value or ""


def _pairs(given: dict, member: str, without_empty: bool = False) -> dict[str, str]:
    value = given.get(member)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong(member, f"{member} must be an object")
    for name, one in value.items():
        if type(one) is not str:
            raise _Wrong(member, f"the value of {name[:80]!r} must be a text")
    pairs = {name: one for name, one in value.items() if one} if without_empty else value
    if "" in pairs:
        raise _Wrong(member, 'invalid name ""')
    return pairs


def _time(given: dict, member: str) -> int | None:
    """Milliseconds from RFC 3339 or from a whole number of them; None when it is absent, empty or Go's unset time."""
    value = given.get(member)
    if value is None or (type(value) is str and not value):
        return None
    number = (
        not isinstance(value, bool) and type(value) is not str and _NUMBER.fullmatch(str(value))
    )
    time = (
        int(str(value))
        if number
        else milliseconds(value)
        if type(value) is str and _TIME.fullmatch(value)
        else None
    )
    if time is None or not rfc3339(time):
        raise _Wrong(
            member,
            f"{member} must be a time as in RFC 3339 (2026-03-02T09:15:00Z), of the years 1 to 9999",
        )
    return _set(time)


def _set(value: Any) -> int | None:
    time = milliseconds(value)
    return None if time == _UNSET else time
