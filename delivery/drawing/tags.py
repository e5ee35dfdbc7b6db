"""Read the few HTML tags that Telegram, Google Chat and Pushover know."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace

from delivery.drawing.markup import NO_STYLE, Inline, styled
from delivery.drawing.model import Block, Shape, Span, Spans, block, nearest_color

_TAG = re.compile(r"<(/?)([a-z]{1,10})((?:\s[^<>]*)?)/?>", re.IGNORECASE)
_STYLES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "s": "strike",
    "del": "strike",
    "code": "code",
    "pre": "code",
}
_HREF = re.compile(r"""href=(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_COLOR = re.compile(r"""color=["']?(#[0-9a-f]{6})""", re.IGNORECASE)
_SPLIT = re.compile(r"<blockquote[^<>]*>(.*?)</blockquote>", re.DOTALL | re.IGNORECASE)
_MAX_OPEN = 20


def read_tags(text: str, inline: Inline, base: Span = NO_STYLE) -> Spans:
    """Return the spans of a text with tags; the other signs of each text are read by `inline`.

    A tag that is not known, or closed without being open, is a text.
    """
    return tuple(_read(text, inline, base))


def read_tag_blocks(text: str, inline: Inline) -> list[Block]:
    """Return the blocks of a text with tags: quotes, and what is between them."""
    blocks = []
    for number, part in enumerate(_SPLIT.split(text)):
        shape = Shape.QUOTE if number % 2 else Shape.TEXT
        blocks += block(shape, read_tags(part.strip("\n"), inline))
    return blocks


def _read(text: str, inline: Inline, base: Span) -> Iterator[Span]:
    opened: list[tuple[str, Span]] = [("", base)]
    position = 0
    for match in _TAG.finditer(text):
        change = _change(match, opened)
        if change is None:
            continue
        yield from _texts(text[position : match.start()], inline, opened[-1][1])
        position = match.end()
        if change.text:
            yield change
        elif match[1]:
            opened.pop()
        else:
            opened.append((match[2].lower(), change))
    yield from _texts(text[position:], inline, opened[-1][1])


def _change(match: re.Match, opened: list[tuple[str, Span]]) -> Span | None:
    """Return the look after a tag, or the text of an empty one; None for a text."""
    name = match[2].lower()
    last_name, last = opened[-1]
    if name == "br":
        return replace(last, text="\n")
    if match[1]:
        return last if name == last_name else None
    if len(opened) > _MAX_OPEN:
        return None
    if name == "a":
        href = _HREF.search(match[3])
        return replace(last, link=html.unescape(href[1] or href[2] or "")) if href else None
    if name == "font":
        color = _COLOR.search(match[3])
        return replace(last, color=nearest_color(color[1]) if color else last.color)
    return styled(last, _STYLES[name]) if name in _STYLES else None


def _texts(text: str, inline: Inline, base: Span) -> Spans:
    return inline.read(html.unescape(text), base)
