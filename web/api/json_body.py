"""The JSON that a machine sends, read strictly: nothing is guessed, rounded or overlooked."""

import json
from collections import Counter
from typing import Any, NoReturn

from delivery.json_text import place
from web.problems import ApiError


class Number(str):
    """A number as it was written."""


def decoded(octets: bytes) -> str:
    """The text of a body. Raises Denied."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeError:
        raise ApiError(400, "The body is not UTF-8.") from None


def parsed(text: str) -> Any:
    """The value of a JSON text; numbers are `Number`. Raises Denied for what is no JSON, and for a member that stands twice."""
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_nan, parse_int=Number, parse_float=Number
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ApiError(
            400, f"The body is not JSON. {place(text, error.pos)}: {error.msg}."
        ) from None
    except UnicodeError:
        raise ApiError(400, "Half of a character stands in the body.") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deep.") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        twice = Counter(name for name, _value in pairs).most_common(1)[0][0]
        raise ApiError(400, f"The member {twice[:80]!r} stands twice in one object.")
    return dict(pairs)


def _nan(name: str) -> NoReturn:
    raise ApiError(400, f"{name} is not JSON; use a number, null or a text.")
