"""Alerts and silences as Alertmanager's API shows them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from delivery.alerts.alert import rfc3339
from delivery.alerts.matchers import Matcher, labels_of, parse_matchers
from delivery.alerts.parsers import RESOLVE_TIMEOUT
from delivery.alerts.received import alert_from_json
from delivery.outbox.silences import read_matchers
from models import Alert, Silence

# The ids of Alertmanager's silences are UUIDs. This one is "tocsin", then the number of the row.
_SILENCE_ID = UUID("746f6373-696e-4000-8000-000000000000").int
_MAX_NUMBER = 2**48
_OPERATORS = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
_FLAGS = {operator: flags for flags, operator in _OPERATORS.items()}
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class Routed(NamedTuple):
    """An open alert with the names of its channels by id, and the ids of its silences."""

    row: Alert
    labels: dict[str, str]
    receivers: Mapping[int, str]
    silences: Sequence[int]


def silence_uuid(number: int) -> str:
    """Return the id of a silence as clients of Alertmanager know it."""
    return str(UUID(int=_SILENCE_ID | number))


def silence_number(text: str) -> int:
    """Return the number of a silence; 0, which no silence has, for an id that is not ours."""
    if not _UUID.fullmatch(text):
        return 0
    number = UUID(text).int ^ _SILENCE_ID
    return number if number < _MAX_NUMBER else 0


def silence_json(silence: Silence, now: int) -> dict[str, Any]:
    """Return a silence; one with damaged matchers has none."""
    return {
        "id": silence_uuid(silence.id),
        "status": {"state": "active" if silence.until > now else "expired"},
        "updatedAt": rfc3339(silence.created_at),
        "matchers": [matcher_json(matcher) for matcher in read_matchers(silence.matchers)],
        "startsAt": rfc3339(silence.created_at),
        "endsAt": rfc3339(silence.until),
        "createdBy": silence.made_by,
        "comment": silence.reason,
    }


def matcher_json(matcher: Matcher) -> dict[str, Any]:
    """Return a matcher as an object."""
    is_regex, is_equal = _FLAGS[matcher.operator]
    return {
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": is_regex,
        "isEqual": is_equal,
    }


def to_matcher(name: str, value: str, is_regex: bool, is_equal: bool) -> Matcher:
    """Return the matcher of an object."""
    return Matcher(name, _OPERATORS[is_regex, is_equal], value)


def compile_receiver(text: str) -> Matcher:
    """Return a matcher of the names of receivers, of which the expression must match all.

    Raises:
        MatcherError: it is not a regular expression.
    """
    return parse_matchers(str(Matcher("receiver", "=~", text)))[0]


def alert_json(alert: Routed, now: int) -> dict[str, Any]:
    """Return an open alert. One that no time closes ends no earlier than in five minutes."""
    stored = alert_from_json(alert.row.body)
    state = "suppressed" if alert.silences else "active"
    return {
        "labels": alert.labels,
        "annotations": dict(stored.annotations),
        "startsAt": rfc3339(stored.starts_at or alert.row.changed_at),
        "endsAt": rfc3339(alert.row.closes_at or now + RESOLVE_TIMEOUT),
        "updatedAt": rfc3339(alert.row.seen_at),
        "fingerprint": hashlib.sha256(alert.row.key.encode()).hexdigest()[:16],
        "receivers": [{"name": name} for name in alert.receivers.values()],
        "status": {
            "state": state,
            "silencedBy": [silence_uuid(number) for number in alert.silences],
            "inhibitedBy": [],
            "mutedBy": [],
        },
        "generatorURL": stored.url,
    }


def labels_of_row(row: Alert) -> dict[str, str]:
    """Return the labels of an alert, with its name as `alertname` by default."""
    return labels_of(alert_from_json(row.body))
