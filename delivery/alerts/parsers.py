"""Parsers for the formats of Tocsin and of Alertmanager's API: parsed JSON in, `ReceivedAlert` out.

The native format is all or nothing. In the other formats the valid alerts are returned beside
a sentence for each invalid one. Every string must be valid Unicode.
"""

from functools import partial
from itertools import islice
from typing import Any

from clock import MINUTE
from delivery.alerts.alert import (
    STATUS_NAMES,
    UNNAMED,
    Alert,
    AlertStatus,
    name_or_label,
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
)
from delivery.alerts.parsed import (
    MAX_PROBLEMS,
    InvalidPayload,
    ParsedAlerts,
    label_identity,
    parse_each,
    shorten,
    to_received,
)
from delivery.alerts.received import ReceivedAlert
from delivery.alerts.values import value_of

RESOLVE_TIMEOUT = 5 * MINUTE  # Alertmanager's default

# Alertmanager's own words
_PREFIXES = {"labels": "invalid label set: ", "annotations": "invalid annotations: "}


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
    alerts, invalid = parse_each(values, partial(_native_alert, now))
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
    raise InvalidPayload(f"{'; '.join(shorten(problems))}.", first_errors)


def parse_alertmanager(value: Any, now: int) -> ParsedAlerts:
    """Parse the list that clients of Alertmanager post to `/api/v2/alerts`.

    Raises:
        InvalidPayload: The value is not a list.
    """
    if not isinstance(value, list):
        raise InvalidPayload("Send a list of alerts.")
    alerts, invalid = parse_each(value, partial(_alertmanager_alert, now))
    problems = [f"{_PREFIXES.get(error.member, '')}{error}" for error in invalid.values()]
    return ParsedAlerts(alerts, shorten(problems))


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
    identity = label_identity(labels)
    key = read_string(members, "key")
    if key:
        identity = ("key", key)
    elif own_name:
        identity = ("name", name, sorted(labels.items()))
    return to_received(identity, alert, ends_at)


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
    annotations = read_string_map(members, "annotations")
    alert = Alert(
        name=name_or_label("", labels) or UNNAMED,
        status=AlertStatus.OPEN if closes_at > now else AlertStatus.CLOSED,
        labels=labels,
        annotations=annotations,
        starts_at=starts_at,
        ends_at=ends_at,
        url=read_link(members, "generatorURL"),
        value=value_of({}, annotations),
    )
    return to_received(label_identity(labels), alert, closes_at)
