"""Parsers for incoming alerts: parsed JSON in, `ReceivedAlert` out.

The native format is all or nothing. In the other formats the valid alerts are returned beside
a sentence for each invalid one. Every string must be valid Unicode.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

from clock import MINUTE
from delivery.alerts.alert import (
    STATUS_NAMES,
    UNNAMED,
    Alert,
    AlertStatus,
    name_or_label,
    to_json,
    to_type,
)
from delivery.alerts.members import (
    InvalidMember,
    check_names,
    is_alertmanager_v1,
    read_link,
    read_string,
    read_string_map,
    read_time,
    set_time,
    to_count,
)
from delivery.alerts.received import ReceivedAlert

MAX_ALERTS = 10_000
MAX_LABELS = 100
MAX_CHARACTERS = 64 * 1024
MAX_PROBLEMS = 20
RESOLVE_TIMEOUT = 5 * MINUTE  # Alertmanager's default

# Alertmanager's own words
_PREFIXES = {"labels": "invalid label set: ", "annotations": "invalid annotations: "}


class ParsedAlerts(NamedTuple):
    """The valid alerts of a request, and a sentence for each invalid one.

    `truncated` is how many more the sender cut off.
    """

    alerts: list[ReceivedAlert]
    problems: list[str]
    truncated: int = 0


Parser = Callable[[Any, int], ParsedAlerts]


class InvalidPayload(ValueError):
    """No alert of a request is accepted; `errors` has messages by `index.member`."""

    def __init__(self, message: str, errors: dict[str, list[str]] | None = None):
        super().__init__(f"Nothing was stored. {message}")
        self.errors = errors or {}


class TooManyAlerts(InvalidPayload):
    """A request has more alerts than one request may have."""


def parse_native(value: Any, now: int) -> ParsedAlerts:
    """Parse an alert, or a list of them, in the format of `POST /api/v1/alerts`.

    Clients of Alertmanager's API v1 post to the same path; they are served as those of API v2.

    Raises:
        InvalidPayload: At least one alert is invalid.
    """
    is_list = isinstance(value, list)
    values = value if is_list else [value]
    if values and all(map(is_alertmanager_v1, values)):
        return parse_alertmanager(values, now)
    alerts, invalid = _parse_each(values, partial(_native_alert, now))
    if not invalid:
        return ParsedAlerts(alerts, [])
    errors = {}
    problems = []
    for index, error in invalid.items():
        path = error.member
        if is_list:
            path = f"{index}.{path}".rstrip(".")
        errors[path] = [str(error)]
        problems.append(f"{path or 'the alert'}: {error}")
    first_errors = dict(islice(errors.items(), MAX_PROBLEMS))
    raise InvalidPayload(f"{'; '.join(_shorten(problems))}.", first_errors)


def parse_alertmanager(value: Any, now: int) -> ParsedAlerts:
    """Parse the list that clients of Alertmanager post to `/api/v2/alerts`.

    Raises:
        InvalidPayload: The value is not a list.
    """
    if not isinstance(value, list):
        raise InvalidPayload("Send a list of alerts.")
    alerts, invalid = _parse_each(value, partial(_alertmanager_alert, now))
    problems = [f"{_PREFIXES.get(error.member, '')}{error}" for error in invalid.values()]
    return ParsedAlerts(alerts, _shorten(problems))


def parse_webhook(value: Any, _now: int) -> ParsedAlerts:
    """Parse what Alertmanager and Grafana send to a webhook; only `alerts` is required.

    Raises:
        InvalidPayload: There is no list `alerts`.
    """
    group_alerts = _get(value, "alerts")
    if not isinstance(group_alerts, list):
        raise InvalidPayload("The list “alerts” is missing.")
    default_status = value.get("status")
    if not default_status and value.get("state") == "ok":
        default_status = "resolved"
    alerts, invalid = _parse_each(group_alerts, partial(_webhook_alert, default_status))
    problems = [f"alerts[{index}]: {error}" for index, error in invalid.items()]
    return ParsedAlerts(alerts, _shorten(problems), to_count(value.get("truncatedAlerts")))


def parse_uptrace(value: Any, _now: int) -> ParsedAlerts:
    """Parse what Uptrace sends to a webhook: one alert, and the channel's own payload.

    Raises:
        InvalidPayload: There is no alert, or it is invalid.
    """
    members = _get(value, "alert")
    if not (_get(members, "id") or _get(members, "name")):
        raise InvalidPayload("The object “alert” with an “id” is missing.")
    annotations = {}
    if value.get("payload") is not None:
        annotations["payload"] = to_json(value["payload"])
    alert = Alert.from_json(
        {
            **members,
            "status": members.get("status") or members.get("state"),  # Uptrace's help says state
            "labels": {},
            "annotations": annotations,
            "starts_at": members.get("createdAt"),
            "ends_at": value.get("createdAt"),
        }
    )
    if not alert.closed:
        alert = replace(alert, ends_at=None)
    # Two installations both count their alerts from 1; the host of the links tells them apart.
    origin = alert.url.split("/", 3)[:3]
    try:
        received = _received(("uptrace", *origin, alert.id or alert.name), alert)
    except InvalidMember as error:
        raise InvalidPayload(f"The alert: {error}.") from None
    # An alert of Uptrace that opens again keeps its start.
    return ParsedAlerts([received._replace(resolves=False)], [])


def _parse_each(
    values: list, parse: Callable[[dict], ReceivedAlert]
) -> tuple[list[ReceivedAlert], dict[int, InvalidMember]]:
    if len(values) > MAX_ALERTS:
        raise TooManyAlerts(
            f"The request has {len(values):,} alerts; at most {MAX_ALERTS:,} are allowed."
        )
    alerts = []
    invalid = {}
    for index, members in enumerate(values):
        try:
            if not isinstance(members, dict):
                raise InvalidMember("", "an alert is a JSON object")
            alerts.append(parse(members))
        except InvalidMember as error:
            invalid[index] = error
    return alerts, invalid


def _native_alert(now: int, members: dict) -> ReceivedAlert:
    """Parse an alert; one that is open until a time in the past is closed."""
    if is_alertmanager_v1(members):
        return _alertmanager_alert(now, members)
    check_names(members)
    labels = read_string_map(members, "labels")
    own_name = read_string(members, "name").strip()
    name = name_or_label(own_name, labels)
    status = read_string(members, "status").lower()
    starts_at = read_time(members, "starts_at")
    ends_at = read_time(members, "ends_at")
    if not name:
        raise InvalidMember("name", "an alert needs a name")
    if status not in STATUS_NAMES:
        raise InvalidMember("status", "this must be open or closed")
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise InvalidMember("ends_at", "this is before starts_at")
    has_ended = ends_at is not None and ends_at <= now
    alert = Alert(
        name=name,
        status=AlertStatus.CLOSED if has_ended else STATUS_NAMES[status],
        type=to_type(read_string(members, "type")),
        labels=labels,
        annotations=read_string_map(members, "annotations"),
        starts_at=starts_at,
        ends_at=ends_at,
        url=read_link(members, "url"),
    )
    identity = _label_identity(labels)
    key = read_string(members, "key")
    if key:
        identity = ("key", key)
    elif own_name:
        identity = ("name", name, sorted(labels.items()))
    return _received(identity, alert, ends_at)


def _alertmanager_alert(now: int, members: dict) -> ReceivedAlert:
    """Parse an alert as Alertmanager does, with its messages (api/v2/api.go, types.go)."""
    starts_at = read_time(members, "startsAt")
    ends_at = read_time(members, "endsAt")
    labels = read_string_map(members, "labels", without_empty=True)
    closes_at = ends_at
    if closes_at is None:
        closes_at = now + RESOLVE_TIMEOUT
    if starts_at is not None and closes_at < starts_at:
        raise InvalidMember("", "start time must be before end time")
    if not labels:
        raise InvalidMember("", "at least one label pair required")
    alert = Alert(
        name=name_or_label("", labels) or UNNAMED,
        status=AlertStatus.OPEN if closes_at > now else AlertStatus.CLOSED,
        labels=labels,
        annotations=read_string_map(members, "annotations"),
        starts_at=starts_at,
        ends_at=ends_at,
        url=read_link(members, "generatorURL"),
    )
    return _received(_label_identity(labels), alert, closes_at)


def _webhook_alert(default_status: object, members: dict) -> ReceivedAlert:
    """Parse an alert of a webhook leniently: its sender never sends a corrected one."""
    alert = Alert.from_json(
        {
            "status": members.get("status", default_status),
            "labels": members.get("labels"),
            "annotations": members.get("annotations"),
            "starts_at": set_time(members.get("startsAt")),
            "ends_at": set_time(members.get("endsAt")),
            "url": members.get("generatorURL")
            or members.get("panelURL")
            or members.get("dashboardURL"),
        }
    )
    identity = _label_identity(alert.labels)
    if not identity[1]:
        raise InvalidMember("labels", "it has no labels, so it cannot be identified")
    return _received(identity, alert)


def _label_identity(labels: Mapping[str, str]) -> tuple:
    """Return the identity of an alert that only its labels identify; empty ones do not count."""
    return ("labels", sorted((name, value) for name, value in labels.items() if value))


def _received(identity: tuple, alert: Alert, closes_at: int | None = None) -> ReceivedAlert:
    """Return an alert with the hash of its identity as its key.

    An identity begins with the name of its family, so that two families never share a key.
    """
    if max(len(alert.labels), len(alert.annotations)) > MAX_LABELS:
        raise InvalidMember("", f"it has more than {MAX_LABELS} labels or annotations")
    texts = [identity[1], alert.name, alert.url]
    for pairs in (alert.labels, alert.annotations):
        texts += chain(*pairs.items())
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise InvalidMember("", f"it is longer than {MAX_CHARACTERS:,} characters")
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    if alert.closed:
        closes_at = None
    return ReceivedAlert(key, alert, closes_at)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _shorten(problems: list[str]) -> list[str]:
    """Return the first problems, and how many more there are."""
    hidden = len(problems) - MAX_PROBLEMS
    if hidden <= 0:
        return problems
    return [*problems[:MAX_PROBLEMS], f"and {hidden:,} more"]
