r"""Templates: JSON documents whose strings may hold `{{ name }}` placeholders.

A template is parsed first and rendered afterwards, so the result is always valid JSON.
`{{ alert.url | "none" }}` has a default: a string in either quotes, a number, true, false or null.
A placeholder that is a whole string keeps the type of its value; any other becomes a part of the
string. A brace that is written as `\u007b` is only a brace.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from delivery.json_text import (
    JsonError,
    check_json,
    compact_encoder,
    dumps,
    line_and_column,
    whole_characters,
)
from delivery.placeholder_mistakes import explain_unknown
from delivery.placeholders import is_known
from delivery.text import MARK, utf8_length

MAX_BYTES = 256 * 1024
_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")([ \t\r\n]*:)?|[^" \t\r\n]+')
_BRACES = re.compile(r"\{\{((?:(?!\{\{).)*?)\}\}|\{\{|\}\}")
_UNMATCHED = {
    "{{": "{{ has no }} in the same string.",
    "}}": "}} has no {{ before it.",
}
_WHOLE_ESCAPES = re.compile(r"(?:[^\\]+|\\u.{4}|\\[^u])*")
_DEFAULT = re.compile(
    r""""[^"]*"|'[^']*'|true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"""
)
_EMPTY = ("null", '""', "{}", "[]")
_encode = compact_encoder(allow_nan=False, default=lambda _other: None).encode


class TemplateError(ValueError):
    """The text is not a valid template; a sentence with the place and the cause."""


class Part(NamedTuple):
    """A part of a template: text that stays, or a placeholder if there is a `name`.

    `text` is the text that stays or the default of the placeholder, as JSON or a part of a string.
    `whole` says that the placeholder is a whole string.
    """

    text: str
    name: str = ""
    whole: bool = False

    def or_text(self, value: str) -> str:
        """Return the rendered value, or the text if the value is empty."""
        empty = value in _EMPTY if self.whole else not value
        if empty and self.text:
            return self.text
        return value


@dataclass(frozen=True)
class Template:
    """A parsed template: its JSON without white space, cut at the placeholders."""

    parts: tuple[Part, ...]

    def render(self, values: Mapping[str, object]) -> str:
        """Return the JSON with these values, of any type, in place of the placeholders.

        If it would exceed 256 KB, each value is cut to an equal share; the text around them stays.
        """
        texts = self._texts(values, MAX_BYTES)
        sizes = {part: utf8_length(text) for part, text in texts.items()}
        if sum(sizes[part] for part in self.parts) > MAX_BYTES:
            fixed = sum(utf8_length(part.text) for part in self.parts)
            placeholders = [part for part in self.parts if part.name]
            texts = self._texts(values, (MAX_BYTES - fixed) // len(placeholders))
        return "".join(texts[part] for part in self.parts)

    def _texts(self, values: Mapping[str, object], max_bytes: int) -> dict[Part, str]:
        """Return the text of each part; each value is rendered once."""

        @cache
        def rendered(name: str, whole: bool) -> str:
            return _render(values.get(name, ""), whole, max_bytes)

        return {part: part.or_text(rendered(part.name, part.whole)) for part in set(self.parts)}


def parse(text: str, strict: bool = True) -> Template:
    """Parse a template.

    An unknown name is an error if `strict`, else it has an empty value.

    Raises:
        TemplateError: If the text is not a valid template.
    """
    try:
        check_json(text)
    except JsonError as error:
        raise TemplateError(str(error)) from None
    return Template(tuple(_Parser(text, strict).parts()))


@dataclass(frozen=True)
class _Parser:
    """Cuts a valid JSON text at its placeholders."""

    text: str
    strict: bool

    def parts(self) -> Iterator[Part]:
        """Yield the parts of the template."""
        end = whole_characters(self.text)
        if end < len(self.text):
            raise self._error(end, "this is half of a character, which cannot be sent.")
        for token in _TOKEN.finditer(self.text):
            string, colon = token.groups()
            if not string:
                yield Part(token[0])
            elif colon:
                yield Part(f"{string}:")
            else:
                yield from self._string(string, token.start())

    def _string(self, string: str, start: int) -> Iterator[Part]:
        end = 0
        for braces in _BRACES.finditer(string):
            position = start + braces.start()
            if braces[0] in _UNMATCHED:
                raise self._error(position, _UNMATCHED[braces[0]])
            whole = string == f'"{braces[0]}"'
            placeholder = self._placeholder(braces[1], whole, position)
            if whole:
                yield placeholder
                return
            yield Part(string[end : braces.start()])
            yield placeholder
            end = braces.end()
        yield Part(string[end:])

    def _placeholder(self, inside: str, whole: bool, position: int) -> Part:
        name, bar, default = map(str.strip, json.loads(f'"{inside}"').partition("|"))
        problem = ""
        if not name:
            problem = "a name is missing between {{ and }}, such as {{ alert.name }}."
        elif self.strict and not is_known(name):
            problem = explain_unknown(name)
        elif bar and not _DEFAULT.fullmatch(default):
            problem = (
                "the default after | must be a string in quotes, a number, true, false or null."
            )
        if problem:
            raise self._error(position, problem)
        if default[:1] in ("'", '"'):
            default = dumps(default[1:-1])
        return Part(default if whole else _unquote(default), name, whole)

    def _error(self, position: int, message: str) -> TemplateError:
        return TemplateError(f"{line_and_column(self.text, position)}: {message}")


def _to_json(value: object) -> str:
    """Return the value as JSON; null for a value that JSON cannot hold, such as NaN."""
    try:
        text = _encode(value)
    except (ValueError, TypeError, RecursionError):
        return "null"
    return text.encode("utf-8", "replace").decode()


def _render(value: object, whole: bool, max_bytes: int) -> str:
    """Return the value as JSON, or as a part of a JSON string, in at most `max_bytes`."""
    literal = _to_json(value)
    if not whole:
        return _truncate(_unquote(literal), max_bytes)
    if utf8_length(literal) <= max_bytes:
        return literal
    if isinstance(value, dict):
        return _truncate_object(value, max_bytes)
    if isinstance(value, list):
        return _truncate_list(value, max_bytes)
    return f'"{_truncate(_unquote(literal), max_bytes - 2)}"'


def _unquote(literal: str) -> str:
    """Return the JSON value as a part of a JSON string; an empty value is an empty text."""
    if literal.startswith('"'):
        return literal[1:-1]
    return "" if literal in _EMPTY else dumps(literal)[1:-1]


def _truncate(inside: str, max_bytes: int) -> str:
    """Cut a part of a JSON string, with a mark at its end, without cutting an escape apart."""
    if utf8_length(inside) <= max_bytes:
        return inside
    cut = inside.encode()[: max_bytes - utf8_length(MARK)].decode(errors="ignore")
    whole = _WHOLE_ESCAPES.match(cut)
    return f"{whole[0] if whole else ''}{MARK}"


def _truncate_object(members: dict, max_bytes: int) -> str:
    """Return the shortest members of an object that fit, and a mark for the others."""
    mark = f'"{MARK}":"{MARK}"'
    room = max_bytes - utf8_length(mark) - len("{}")
    texts = [f"{_to_json(str(name))}:{_to_json(value)}," for name, value in members.items()]
    texts.sort(key=utf8_length)
    return f"{{{_fitting(texts, room)}{mark}}}"


def _truncate_list(items: list, max_bytes: int) -> str:
    """Return the first items of a list that fit, and a mark for the others."""
    room = max_bytes - utf8_length(f'["{MARK}"]')
    return f'[{_fitting([f"{_to_json(item)}," for item in items], room)}"{MARK}"]'


def _fitting(texts: list[str], room: int) -> str:
    count = sum(total <= room for total in accumulate(map(utf8_length, texts)))
    return "".join(texts[:count])
