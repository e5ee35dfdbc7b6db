"""The members of a channel in the OpenAPI document, with the limits that the form checks."""

from typing import Any, NamedTuple

from delivery.alerts.grouping import DEFAULT_GROUP_WAIT, MAX_GROUP_WAIT
from delivery.alerts.matchers import MAX_MATCHERS
from delivery.kinds import kinds
from delivery.settings import DEFAULT_TIMEOUT, MAX_TIMEOUT, METHODS, MIN_TIMEOUT
from web.api.channel_schema import READ_ONLY
from web.channels.forms import ChannelForm
from web.channels.header_rows import MAX_HEADERS
from web.validation import MAX_DRILL_DAYS, MAX_NAME_LENGTH, MAX_REPEAT_MINUTES

_SECRET = "Write-only. Absent or empty: the stored one stays; `null` removes it."


class Member(NamedTuple):
    """A member: its description, and the schema of a value in a request where that says more."""

    description: str
    schema: dict[str, Any] | None = None


def _one_of(values: Any) -> dict[str, Any]:
    """Return the schema of one of some texts; null is the default."""
    return {"enum": [*values, None]}


def _choices(field: str) -> list[str]:
    """Return the values of a field of the form that has a list of them."""
    return [value for value, _label in getattr(ChannelForm, field).args[1]]


def _number(minimum: int, maximum: int) -> dict[str, Any]:
    whole = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return {"anyOf": [whole, {"type": "null"}]}


_MEMBERS = {
    "name": Member(
        f"1 to {MAX_NAME_LENGTH} characters, unlike the names of other channels.",
        {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
    ),
    "kind": Member("What the receiver speaks.", _one_of(kinds())),
    "url": Member("http or https. Shortened in responses; absent: the stored one stays."),
    "method": Member("The method of the requests.", _one_of(METHODS)),
    "headers": Member(f"At most {MAX_HEADERS}. The value of a secret one is write-only."),
    "auth": Member("How requests are authenticated.", _one_of(_choices("auth"))),
    "auth_username": Member("The user name; with `header`, the name of the header."),
    "auth_secret": Member(_SECRET),
    "signing": Member("How requests are signed.", _one_of(_choices("signing"))),
    "signing_secret": Member(_SECRET),
    "signing_secret_old": Member(_SECRET),
    "signing_timestamp_header": Member("The header with the time, for Grafana's signature."),
    "payload": Member("Any JSON, or a string with JSON. It is stored unchanged."),
    "body": Member("For `custom`: any JSON with placeholders, or a string with it."),
    "options": Member("The options of the kind."),
    "timeout": Member(
        f"{MIN_TIMEOUT} to {MAX_TIMEOUT} seconds; `null`: {DEFAULT_TIMEOUT}.",
        _number(MIN_TIMEOUT, MAX_TIMEOUT),
    ),
    "verify_tls": Member("Whether the certificate of the receiver is verified."),
    "ca_pem": Member("Certificate authorities for this receiver, in PEM."),
    "matchers": Member(f"At most {MAX_MATCHERS} matchers of the alerts; empty: all alerts."),
    "group_by": Member("The names of labels, separated by commas; empty: no groups."),
    "group_wait": Member(
        f"0 to {MAX_GROUP_WAIT} seconds for which the first alert of a group waits for "
        f"others; `null` with groups: {DEFAULT_GROUP_WAIT}.",
        _number(0, MAX_GROUP_WAIT),
    ),
    "separate": Member("Whether many waiting alerts stay messages of their own."),
    "fallback": Member("The id of the channel that is notified while this one is in trouble."),
    "retries": Member("The delays before further attempts, such as `10s, 2m`, or `none`."),
    "repeat": Member(
        f"1 to {MAX_REPEAT_MINUTES} minutes between repeats of an open alert; `null`: none.",
        _number(1, MAX_REPEAT_MINUTES),
    ),
    "drill": Member(
        f"1 to {MAX_DRILL_DAYS} days between two fire drills; `null`: none.",
        _number(1, MAX_DRILL_DAYS),
    ),
    "version": Member("The number of saves. A request with an old one is refused with 409."),
    "provisioned": Member("The file that alone changes the channel; `null`: requests do."),
    "secrets": Member("The names of the secrets that are stored."),
    "problem": Member("Why a stored channel cannot be used."),
    "trouble": Member("`null` while the channel gets through."),
}


def describe_channel(requested: dict[str, Any], *answers: dict[str, Any]) -> None:
    """Add to the schemas of a request and of answers what the form knows of the members.

    A request may repeat the members of the first answer that cannot be changed.
    """
    members = requested["properties"]
    for name, member in _MEMBERS.items():
        if name in members:
            members[name] = {**(member.schema or members[name]), "description": member.description}
        for answer in answers:
            if name in answer["properties"]:
                answer["properties"][name]["description"] = member.description
    for name in READ_ONLY:
        members[name] = {**answers[0]["properties"][name], "readOnly": True}
    requested["additionalProperties"] = False
