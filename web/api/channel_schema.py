"""The JSON schema of a channel, and its errors as problem documents."""

import codecs
import re
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import msgspec
from msgspec import Raw, Struct

from delivery.json_text import JsonError, parse_strict
from web.problems import ApiError


class HeaderBody(Struct, forbid_unknown_fields=True):
    """One header row."""

    name: str = ""
    value: str = ""
    secret: bool = False


_Text = str | None
_Number = int | float | None


class ChannelBody(TypedDict, total=False):
    """A channel as scripts write it; `payload` and `body` keep every byte.

    `options` are those of the kind. One with `choices` has one of their values, or is empty.
    """

    name: _Text
    kind: _Text
    url: _Text
    method: _Text
    headers: list[HeaderBody] | None
    auth: _Text
    auth_username: _Text
    auth_secret: _Text
    signing: _Text
    signing_secret: _Text
    signing_secret_old: _Text
    signing_timestamp_header: _Text
    payload: Raw
    body: Raw
    options: dict[str, Raw] | None
    timeout: _Number
    verify_tls: bool | None
    ca_pem: _Text
    matchers: _Text
    group_by: _Text
    group_wait: _Number
    separate: bool | None
    fallback: _Number
    drill: _Number
    retries: _Text
    repeat: _Number
    version: _Number


# Members of a response that a request may repeat; their values are ignored.
READ_ONLY = (
    "id",
    "state",
    "proof",
    "health",
    "trouble",
    "origin",
    "provisioned",
    "created_at",
    "updated_at",
    "secrets",
    "problem",
)
CHANNEL_MEMBERS = ChannelBody.__annotations__
_TYPE_NAMES = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
_UNKNOWN = "There is no such member."


def decode_channel(data: bytes) -> ChannelBody:
    """Return the channel of a JSON object.

    Raises:
        ApiError: The data is no JSON object, or a member is unknown or of another type.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        parse_strict(data)
        members = msgspec.json.decode(data, type=dict[str, Raw])
    except JsonError as error:
        message = f"The body could not be read as JSON. {error} Nothing was saved."
        raise ApiError(400, message) from None
    except msgspec.ValidationError:
        raise ApiError(422, "Send a channel as one JSON object.") from None
    for name in READ_ONLY:
        members.pop(name, None)
    return cast(ChannelBody, decode_members(members, CHANNEL_MEMBERS))


def decode_members(
    members: Mapping[str, Raw], types: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
    """Return the values of members by name.

    Raises:
        ApiError: A member is unknown or of another type; a prefix precedes its name.
    """
    values = {}
    errors = {}
    for name, raw in members.items():
        try:
            values[name] = msgspec.json.decode(raw, type=types[name])
        except KeyError:
            errors[prefix + name] = [_UNKNOWN]
        except msgspec.ValidationError as error:
            path, message = explain(str(error))
            errors[prefix + name + path] = [message]
    if errors:
        raise invalid_channel(errors)
    return values


def explain(error: str) -> tuple[str, str]:
    """Return the path and the message of an error of msgspec, in the words of the API."""
    message, _, path = error.partition(" - at `$")
    names = ["", *re.findall(r"\w+", path)]
    _, _, subject = message.partition("`")
    if message.startswith("Object contains unknown field"):
        return "-".join([*names, subject.removesuffix("`")]), _UNKNOWN
    if message.startswith("Object missing required field"):
        return "-".join([*names, subject.removesuffix("`")]), "This is missing."
    if message.startswith("Invalid enum value"):
        return "-".join(names), "There is no such value."
    if limit := re.search("([<>])= ([0-9]+)", message):
        bound = "at least" if limit[1] == ">" else "at most"
        return "-".join(names), f"This must be a number of {bound} {limit[2]}."
    type_name = _TYPE_NAMES.get(re.split(r"\W", subject)[0], "a smaller number")
    return "-".join(names), f"This must be {type_name}."


def invalid_channel(errors: dict[str, list[str]]) -> ApiError:
    """Return the error for a channel that is not saved, with messages by member."""
    return ApiError(422, "Nothing was saved. “errors” has the messages by member.", errors=errors)
