"""Strict readers for the members of an alert's JSON object."""

import difflib
import re
from typing import TypeGuard

from delivery.alerts.alert import milliseconds
from delivery.guard.url import encode_unsafe

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]"
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,30})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_SHARED = frozenset({"labels", "annotations"})
_NATIVE = _SHARED | {"key", "name", "status", "type", "starts_at", "ends_at", "url"}
_V1_TIMES_AND_LINK = frozenset({"startsAt", "endsAt", "generatorURL"})
# The right member for a name that senders use instead, in lower case.
_SUGGESTIONS = {
    **{name: name for name in _NATIVE},
    "state": "status",
    "title": "name",
    "fingerprint": "key",
    "alertname": "labels.alertname",
    "severity": "labels.severity",
    "summary": "annotations.summary",
    "description": "annotations.description",
    "message": "annotations.message",
    "startsat": "starts_at",
    "endsat": "ends_at",
    "generatorurl": "url",
}
_GO_ZERO_TIME = milliseconds("0001-01-01T00:00:00Z")  # how Go writes a time that is not set


class InvalidMember(ValueError):
    """A member of an alert is invalid, or (without a name) the alert as a whole."""

    def __init__(self, member: str, message: str):
        super().__init__(message)
        self.member = member


def is_alertmanager_v1(value: object) -> TypeGuard[dict]:
    """Return True for an alert in the format of Alertmanager's API v1.

    The members are those of API v2. Without a time and a link, it is a native alert.
    """
    if not isinstance(value, dict):
        return False
    names = value.keys()
    return bool(names & _V1_TIMES_AND_LINK) and names <= _V1_TIMES_AND_LINK | _SHARED


def check_names(members: dict) -> None:
    """Refuse a member that the native format does not have, and suggest the right one.

    Raises:
        InvalidMember: There is such a member.
    """
    foreign = [name for name in members if name not in _NATIVE]
    if not foreign:
        return
    unknown = [name for name in foreign if name not in _V1_TIMES_AND_LINK]
    problem = "this member is unknown"
    if not unknown:
        problem = "this member of Alertmanager's format cannot be mixed with native ones"
    name = (unknown or foreign)[0][:80]
    for suggestion in difflib.get_close_matches(name.lower(), _SUGGESTIONS, 1):
        problem += f" (did you mean {_SUGGESTIONS[suggestion]}?)"
    raise InvalidMember(name, problem)


def read_string(members: dict, name: str) -> str:
    """Return a string; empty if it is absent or null."""
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidMember(name, f"{name} must be a string")
    return value


def read_link(members: dict, name: str) -> str:
    """Return a link without characters that a URL may not have; empty if it is absent or null."""
    return encode_unsafe(read_string(members, name))


def read_string_map(members: dict, name: str, without_empty: bool = False) -> dict[str, str]:
    """Return an object of strings, optionally without its empty values."""
    value = members.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidMember(name, f"{name} must be an object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise InvalidMember(name, f"the value of {key[:80]!r} must be a string")
    if without_empty:
        value = {key: text for key, text in value.items() if text}
    if "" in value:
        raise InvalidMember(name, 'invalid name ""')
    return value


def read_time(members: dict, name: str) -> int | None:
    """Return a time in milliseconds; None if it is absent, empty or Go's zero time."""
    value = members.get(name)
    if value is None or value == "":
        return None
    is_time = _RFC3339.fullmatch(value) if isinstance(value, str) else isinstance(value, int)
    if not is_time or milliseconds(value) is None:
        raise InvalidMember(
            name,
            f"{name} must be an RFC 3339 time (2026-03-02T09:15:00Z) in the years 1 to 9999",
        )
    return set_time(value)


def set_time(value: object) -> int | None:
    """Return a time in milliseconds; None if it is invalid or Go's zero time."""
    time = milliseconds(value)
    return None if time == _GO_ZERO_TIME else time


def to_count(value: object) -> int:
    """Return a number of alerts; 0 if it is invalid."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), 10**9)
