"""Texts for messages: white space, control characters, lengths and truncation."""

import re
from collections.abc import Callable
from typing import Any

from delivery.json_text import dumps

MARK = "…"
_PROPORTIONAL_STEPS = 8
Escape = Callable[[str], str]
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units.

    Most vendors count characters this way, and no other count of characters is higher.
    """
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "replace")) // 2


def utf8_length(text: str) -> int:
    """Return the length in bytes of UTF-8."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "replace"))


def json_length(text: str) -> int:
    """Return the length in bytes inside a JSON string."""
    return utf8_length(dumps(text)) - 2


def truncate(
    text: str,
    max_length: int,
    measure: Callable[[str], int] = utf16_length,
    escape: Escape = str,
) -> str:
    """Return the escaped text, cut to fit and marked if it is too long.

    `max_length` is in the unit of `measure` and holds for the escaped text. No escape is cut apart.
    """
    if len(text) <= max_length:
        escaped = escape(text)
        if measure(escaped) <= max_length:
            return escaped
    room = max_length - measure(MARK)
    if room < 0:
        return ""
    kept = text[:max_length]
    end = _last_end(len(kept), room, lambda end: measure(escape(kept[:end].rstrip())))
    return escape(kept[:end].rstrip()) + MARK


def _last_end(length: int, room: int, size_of: Callable[[int], int]) -> int:
    """Return the end of a beginning that fits into the room; at most a 64th of that is left.

    Escapes take long: the first steps are in proportion to the size, further ones halve the rest.
    """
    fits = 0
    too_long = length + 1
    end = min(room, length)
    steps = 0
    while too_long - fits > 1:
        size = size_of(end)
        if size > room:
            too_long = end
        else:
            fits = end
            if size >= room - room // 64:
                break
        steps += 1
        end = end * room // max(size, 1)
        if steps > _PROPORTIONAL_STEPS or not fits < end < too_long:
            end = (fits + too_long) // 2
    return fits


def clean(text: str) -> str:
    """Return the text without control characters, with `\\n` as its only line end."""
    if text.isprintable():  # most texts are
        return text
    lines = "\n".join(text.replace("\t", " ").splitlines())
    return _CONTROL.sub("", lines)


def one_line(text: str) -> str:
    """Return the text with single blanks for all white space, and without control characters.

    A name or a value with a line break could pass for another line of a message.
    """
    return " ".join(clean(text).split())


def without_empty(**parts: Any) -> dict[str, Any]:
    """Return the parts that are not empty: vendors refuse empty ones."""
    return {name: part for name, part in parts.items() if part}


def more(hidden: int) -> str:
    """Return `and 3 more`; empty if nothing is hidden."""
    return f"and {hidden:,} more" if hidden > 0 else ""
