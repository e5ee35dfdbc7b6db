"""Checks JSON that a person typed: bounded before it is parsed, numbers left alone, problems with line and column."""

import json
import re

LARGEST_BYTES = 64 * 1024
DEEPEST = 64

_WORDS = {
    "Expecting value": "a value is missing here",
    "Expecting property name enclosed in double quotes": 'a name in double quotes ("name") must stand here',
    "Expecting ':' delimiter": "a colon is missing between name and value",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Extra data": "the JSON ends before this; remove what follows, or put it all into one list or object",
    "Invalid control character at": "a line break or another control character stands inside a string; write it as \\n or \\t",
    "Invalid \\escape": "a backslash in a string must be doubled (\\\\) or begin an escape such as \\n",
    "Invalid \\uXXXX escape": "four hexadecimal digits must follow \\u",
    "Unterminated string starting at": "the string that begins here has no closing quote",
    "Illegal trailing comma before end of object": "remove the comma before the closing bracket",
    "Illegal trailing comma before end of array": "remove the comma before the closing bracket",
}
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)


class JsonError(ValueError):
    """The text is no JSON that Tocsin takes; a sentence that says where and why."""


def check(text: str) -> None:
    """Accepts any JSON value of at most 64 KB and 64 levels, without NaN and Infinity. Raises JsonProblem."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST_BYTES:
        raise JsonError(f"The JSON has {size:,} bytes; at most {LARGEST_BYTES:,} are possible.")
    _check_depth(text)
    try:
        # Numbers stay text: 5 000 digits are fine, and none is rounded.
        json.loads(
            text,
            parse_constant=lambda name: _refuse_constant(text, name),
            parse_int=str,
            parse_float=str,
        )
    except json.JSONDecodeError as error:
        raise JsonError(_sentence(text, error)) from None


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        token = match[0]
        depth += (token in "[{") - (token in "]}")
        if depth > DEEPEST:
            raise JsonError(
                f"{place(text, match.start())}: the JSON is nested deeper than {DEEPEST} levels."
            )


def _refuse_constant(text: str, name: str):
    outside_strings = (match for match in _CONSTANT.finditer(text) if match[0] == name)
    start = next(outside_strings).start()
    raise JsonError(f"{place(text, start)}: {name} is not JSON; use a number, null or a string.")


def _sentence(text: str, error: json.JSONDecodeError) -> str:
    position = min(error.pos, len(text))
    rest = text[position:].lstrip()
    words = _WORDS.get(error.msg, error.msg[:1].lower() + error.msg[1:])
    if error.msg == "Expecting value" and not rest:
        words = "the JSON ends too early; a value or a closing bracket is missing"
    elif rest[:1] == "'":
        words = "strings stand in double quotes, not in single ones"
    elif rest[:1] in ("]", "}") and text[:position].rstrip().endswith(","):
        words = "remove the comma before the closing bracket"
    return f"{place(text, position)}: {words}."


def place(text: str, position: int) -> str:
    """`Line 3, column 14`."""
    line = text.count("\n", 0, position) + 1
    return f"Line {line}, column {position - text.rfind(chr(10), 0, position)}"


def dumps(value: object) -> str:
    """The value as compact JSON, its letters kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
