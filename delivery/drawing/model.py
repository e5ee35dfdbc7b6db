"""A message as a service shows it: spans, blocks and drawings, without any markup."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from delivery.alerts.alert import milliseconds
from delivery.content.times import format_duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PALETTE = {
    "red": (208, 52, 44),
    "orange": (232, 89, 12),
    "yellow": (224, 161, 0),
    "blue": (43, 108, 176),
    "green": (46, 133, 64),
    "gray": (128, 128, 128),
}


class Family(StrEnum):
    """How a service shows messages: in a chat, as a push notification, or as an incident."""

    CARD = "card"
    PUSH = "push"
    INCIDENT = "incident"


class Shape(StrEnum):
    """The form of a block.

    The rows of a GRID are cells of a name above a value, and those of a TABLE are lines. Each span
    of BUTTONS and of TAGS is one of them.
    """

    TEXT = "text"
    HEADING = "heading"
    QUOTE = "quote"
    ITEM = "item"
    NOTE = "note"
    GRID = "grid"
    TABLE = "table"
    BUTTONS = "buttons"
    TAGS = "tags"


@dataclass(frozen=True)
class Span:
    """A part of a text that looks the same, with the URL that it links to.

    `styles` are names such as `bold`, `code`, `mention`, and `time` for a time that the service
    shows in the time zone of the reader. `color` is a name of the palette.
    """

    text: str
    styles: frozenset[str] = frozenset()
    link: str = ""
    color: str = ""


Spans = tuple[Span, ...]


@dataclass(frozen=True)
class Block:
    """One part of a message, below the one before."""

    shape: Shape
    spans: Spans = ()
    rows: tuple[tuple[Spans, Spans], ...] = ()

    @property
    def text(self) -> str:
        """The text, as it is read."""
        cells = [self.spans, *(cell for row in self.rows for cell in row)]
        separator = "\n" if self.shape in (Shape.BUTTONS, Shape.TAGS) else ""
        return "\n".join(separator.join(span.text for span in cell) for cell in cells if cell)


@dataclass(frozen=True)
class Drawing:
    """A message as a service shows it.

    `push_title` and `push_text` are the notification on a lock screen. `lead` stands above the
    framed `blocks`, whose frame has the color. `note` says how loud the message is.
    """

    family: Family
    author: str = ""
    push_title: Spans = ()
    push_text: str = ""
    color: str = ""
    lead: tuple[Block, ...] = ()
    blocks: tuple[Block, ...] = ()
    note: str = ""

    @property
    def text(self) -> str:
        """Every text of the drawing, as it is read."""
        title = "".join(span.text for span in self.push_title)
        blocks = (block.text for block in (*self.lead, *self.blocks))
        return "\n".join([title, self.push_text, *blocks, self.note])


@dataclass(frozen=True)
class Viewer:
    """When a message is read, in milliseconds since the epoch, and in which time zone.

    Without a zone it is that of this machine.
    """

    at: int = 0
    zone: tzinfo | None = field(default=UTC)

    def moment(self, seconds: int) -> datetime | None:
        """Return a time of the message in the zone; None if it has no year of four digits."""
        try:
            return (_EPOCH + timedelta(seconds=seconds)).astimezone(self.zone)
        except (OverflowError, ValueError, OSError):
            return None

    def read(self, text: str) -> str:
        """Return a time in RFC 3339 as a service shows it; empty for any other text."""
        time = milliseconds(text)
        return "" if time is None else self.show(time // 1000)

    def show(self, seconds: int) -> str:
        """Return a time as a service shows it."""
        moment = self.moment(seconds)
        return f"{moment.day} {moment:%b} {moment.year:04d} {moment:%H:%M}" if moment else ""

    def ago(self, seconds: int) -> str:
        """Return `12 min ago`; empty for a time to come, and one long ago."""
        duration = format_duration(self.at - seconds * 1000)
        return f"{duration} ago" if duration else ""


def plain(text: str, *styles: str, link: str = "") -> Spans:
    """Return a text without markup as spans; none if it is empty."""
    return (Span(text, frozenset(styles), link),) if text else ()


def block(shape: Shape, spans: Spans) -> list[Block]:
    """Return the block of these spans; none if they are empty."""
    return [Block(shape, spans)] if spans else []


def rows(shape: Shape, cells: Iterable[tuple[Spans, Spans]]) -> list[Block]:
    """Return the block of these names and values; none if there are none."""
    found = tuple((name, value) for name, value in cells if name or value)
    return [Block(shape, rows=found)] if found else []


def buttons(links: Iterable[tuple[str, str]]) -> list[Block]:
    """Return the block of these buttons, each a name and a URL; none if there are none."""
    found = tuple(Span(name, link=url) for name, url in links if name)
    return block(Shape.BUTTONS, found)


def nearest_color(color: object) -> str:
    """Return the name in the palette that is nearest to `#RRGGBB` or its number; else empty."""
    if isinstance(color, int) and 0 <= color <= 0xFFFFFF:
        color = f"#{color:06x}"
    if not isinstance(color, str) or not re.fullmatch("#[0-9A-Fa-f]{6}", color):
        return ""
    parts = bytes.fromhex(color[1:])
    distances = {}
    for name, known in PALETTE.items():
        distances[name] = sum(abs(a - b) for a, b in zip(parts, known, strict=True))
    return min(distances, key=distances.__getitem__)
