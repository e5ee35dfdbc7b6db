"""Read and write JSON; the one place for each way of reading it.

`check_json` checks what a person typed, `parse_strict` reads what a program sends to Tocsin's API,
`parse_lenient` what other monitoring systems send, and `parse_or_none` what is stored.
"""

import json
import re
from collections import Counter
from functools import partial
from typing import Any, NoReturn

MAX_BYTES = 64 * 1024
MAX_DEPTH = 64

_REMOVE_COMMA = "remove the comma before the closing bracket"
_EXPLANATIONS = {
    "Expecting value": "a value is missing here",
    "Expecting property name enclosed in double quotes": (
        'a name in double quotes ("name") is missing here'
    ),
    "Expecting ':' delimiter": "a colon is missing between name and value",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Extra data": (
        "the JSON ends before this; remove the rest, or put everything into one list or object"
    ),
    "Invalid control character at": (
        "a line break or another control character is inside a string; write it as \\n or \\t"
    ),
    "Invalid \\escape": (
        "a backslash in a string must be doubled (\\\\) or begin an escape such as \\n"
    ),
    "Invalid \\uXXXX escape": "four hexadecimal digits must follow \\u",
    "Unterminated string starting at": "the string that begins here has no closing quote",
    "Illegal trailing comma before end of object": _REMOVE_COMMA,
    "Illegal trailing comma before end of array": _REMOVE_COMMA,
}
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)
_WHOLE_CHARACTERS = re.compile(
    r"(?:[^\\\ud800-\udfff]+|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89a-fA-F])|\\[^u])*+"
)
_MAX_INTEGER_DIGITS = 4000  # Python's `int` refuses 4,301


class JsonError(ValueError):
    """A text is not JSON that Tocsin accepts; the message says where and why."""


class _NotJson(ValueError):
    """NaN or Infinity, which Python's reader would accept."""


def check_json(text: str) -> None:
    """Check a JSON document of any type that a person typed.

    It has at most 64 KB and 64 levels, and neither NaN nor Infinity.

    Raises:
        JsonError: The text is something else; the message has line and column.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise JsonError(f"The JSON has {size:,} bytes; at most {MAX_BYTES:,} are allowed.")
    _check_depth(text)
    _parse(text, _TYPED)


def parse_strict(data: bytes) -> Any:
    """Return the value of JSON that a program sent, without guessing.

    Raises:
        JsonError: The data is not UTF-8 or not JSON, an object has two members of the same name,
            or a string is not valid Unicode.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise JsonError("The text is not valid UTF-8.") from None
    value = _parse(text, _STRICT)
    if whole_characters(text) < len(text):
        raise JsonError("A string contains half of a surrogate pair.")
    return value


def parse_lenient(data: bytes) -> Any:
    """Return the value of JSON as Go reads it.

    The last of two members with the same name counts, and invalid Unicode is replaced.

    Raises:
        JsonError: The data is not JSON.
    """
    text = data.decode("utf-8-sig", "replace")
    value = _parse(text, _LENIENT)
    if whole_characters(text) < len(text):
        return json.loads(dumps(value).encode("utf-8", "replace"))
    return value


def parse_or_none(text: str) -> Any:
    """Return the value of a JSON text, or None if it is not valid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def dumps(value: object) -> str:
    """Return the value as compact JSON that keeps non-ASCII letters."""
    return _encode(value)


def whole_characters(text: str) -> int:
    """Return the length of JSON up to the first half of a surrogate pair."""
    whole = _WHOLE_CHARACTERS.match(text)
    return whole.end() if whole else 0


def line_and_column(text: str, position: int) -> str:
    """Return a position in a text as `Line 3, column 14`."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"Line {line}, column {column}"


def _parse(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text)
    except _NotJson as error:
        raise JsonError(_explain_constant(text, str(error))) from None
    except json.JSONDecodeError as error:
        raise JsonError(_explain(text, error)) from None
    except RecursionError:
        raise JsonError("The JSON is nested too deeply.") from None


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise JsonError(
                f"{line_and_column(text, match.start())}: "
                f"the JSON is nested deeper than {MAX_DEPTH} levels."
            )


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJson(name)


def _explain_constant(text: str, name: str) -> str:
    matches = _STRING_OR_CONSTANT.finditer(text)
    start = next(match.start() for match in matches if match[0] == name)
    return f"{line_and_column(text, start)}: {name} is not JSON; use a number, null or a string."


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        repeated = Counter(name for name, _value in pairs).most_common(1)[0][0]
        raise JsonError(f"The member {repeated[:80]!r} appears twice in one object.")
    return members


def _parse_integer(digits: str) -> float:
    if len(digits) > _MAX_INTEGER_DIGITS:
        return float(digits)
    return int(digits)


def _explain(text: str, error: json.JSONDecodeError) -> str:
    position = min(error.pos, len(text))
    rest = text[position:].lstrip()
    explanation = _EXPLANATIONS.get(error.msg, error.msg[:1].lower() + error.msg[1:])
    if error.msg == "Expecting value" and not rest:
        explanation = "the JSON ends too early; a value or a closing bracket is missing"
    elif rest[:1] == "'":
        explanation = "use double quotes for a string, not single quotes"
    elif rest[:1] in ("]", "}") and text[:position].rstrip().endswith(","):
        explanation = _REMOVE_COMMA
    return f"{line_and_column(text, position)}: {explanation}."


# Building an encoder takes longer than encoding a short value: callers build theirs once.
compact_encoder = partial(json.JSONEncoder, ensure_ascii=False, separators=(",", ":"))
_encode = compact_encoder().encode
_decoder = partial(json.JSONDecoder, parse_constant=_refuse_constant)
_STRICT = _decoder(object_pairs_hook=_unique_members, parse_int=_parse_integer)
_LENIENT = _decoder(parse_int=_parse_integer)
_TYPED = _decoder(parse_int=str, parse_float=str)  # a number may have any number of digits
