"""Read the markup at the beginning of lines: headings, quotes and lists."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from delivery.drawing.markup import NO_STYLE, Inline, styled
from delivery.drawing.model import Block, Shape, Span, block

_HEADING = r" {0,3}(?P<heading>#{1,6}) +"
_QUOTE = r" {0,3}(?P<quote>>) ?"
_ITEM = r" {0,3}(?P<item>[-*+]|[0-9]{1,9}[.)]) +"
MARKDOWN = re.compile(f"{_HEADING}|{_QUOTE}|{_ITEM}")
# Discord has three levels of headings.
DISCORD = re.compile(f"(?P<heading>#{{1,3}}) +|(?P<quote>>) |{_ITEM}")
WECOM = re.compile(f"{_HEADING}|{_QUOTE}")
SLACK = re.compile("(?P<quote>&gt;|>) ?")
TEAMS = re.compile(_ITEM)


@dataclass(frozen=True)
class Line:
    """A line without the sign at its beginning."""

    shape: Shape
    sign: str
    text: str


def read_lines(
    text: str, signs: re.Pattern, inline: Inline, joins_lines: bool = False
) -> list[Block]:
    """Return the blocks of a text.

    With `joins_lines`, a single line feed is a blank, unless two blanks are before it.
    """
    blocks = []
    lines = [_read_line(line, signs) for line in text.split("\n")]
    for shape, group in groupby(lines, lambda line: line.shape):
        if shape in (Shape.HEADING, Shape.ITEM):
            for line in group:
                blocks += _read_marked(line, inline)
        else:
            blocks += _read_paragraphs(shape, group, inline, joins_lines)
    return blocks


def _read_line(line: str, signs: re.Pattern) -> Line:
    match = signs.match(line)
    if not match:
        return Line(Shape.TEXT, "", line)
    name = match.lastgroup or ""
    return Line(Shape(name), match[name], line[match.end() :])


def _read_marked(line: Line, inline: Inline) -> list[Block]:
    if line.shape == Shape.HEADING:
        return block(Shape.HEADING, inline.read(line.text, styled(NO_STYLE, "bold")))
    sign = f"{line.sign} " if line.sign[0].isdigit() else "• "
    return block(Shape.ITEM, (Span(sign), *inline.read(line.text)))


def _read_paragraphs(
    shape: Shape, lines: Iterable[Line], inline: Inline, joins_lines: bool
) -> list[Block]:
    blocks = []
    whole = "\n".join(line.text for line in lines).strip("\n")
    if joins_lines:
        whole = re.sub(r"(?<!\n)(?<!  )\n(?!\n)", " ", whole)
    for paragraph in re.split(r"\n[ \u200b]*\n", whole):
        blocks += block(shape, inline.read(paragraph))
    return blocks
