"""Lay out a message that is one text: what is cut, and in which order.

The title, the summary, the first facts, the times and the links stay; the description gets what
they leave.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.content.links import Link
from delivery.text import Escape, truncate, utf16_length

MAX_FACTS = 12
MAX_NAME_LENGTH = 100
MAX_VALUE_LENGTH = 300


@dataclass(frozen=True)
class Markup:
    """How a service writes a text.

    `escape` is for texts of the alert. `fact` gets an escaped name and value, `times` an escaped
    line, and `link` a link. `line` stands between lines, `section` between the parts of the
    message, and `link_separator` between links.
    """

    escape: Escape = str
    fact: Callable[[str, str], str] = "{}: {}".format
    times: Callable[[str], str] = str
    link: Callable[[Link], str] = lambda link: f"{link.name}: {link.url}"
    line: str = "\n"
    section: str = "\n\n"
    link_separator: str = "\n"

    def write_fact(self, fact: Fact) -> str:
        """Return the line of a fact, cut to a length that leaves room for others."""
        name = truncate(fact.name, MAX_NAME_LENGTH, escape=self.escape)
        return self.fact(name, truncate(fact.value, MAX_VALUE_LENGTH, escape=self.escape))

    def write_links(self, links: list[Link], fits: Callable[[str], bool]) -> str:
        """Return the links that fit. One that is too long does not displace those after it."""
        written = ""
        for link in map(self.link, links):
            longer = self.link_separator.join(filter(None, [written, link]))
            if fits(longer):
                written = longer
        return written

    def paragraph(self, text: str) -> str:
        """Return an escaped text of several lines."""
        return self.escape(text).replace("\n", self.line)


def lay_out(
    text: AlertText,
    markup: Markup,
    maximum: int,
    measure: Callable[[str], int] = utf16_length,
    title: str = "",
    links: Iterable[Link] = (),
) -> str:
    """Return the message as one text of at most this length.

    `title` is markup already, and leaves most of the room. It is not empty unless everything is.
    """
    room = _Room(maximum, measure, markup.section)
    title = room.take(title)
    tail = room.take(
        _tail(text, markup, list(links), lambda tail: measure(tail) <= maximum * 2 // 3)
    )
    summary = room.take(truncate(text.summary, room.left // 2, measure, markup.paragraph))
    facts = room.take(_facts(text, markup, lambda lines: measure(lines) <= room.left // 2))
    description = text.description_within(room.left, measure, markup.paragraph)
    head = markup.line.join(filter(None, [title, summary]))
    return markup.section.join(filter(None, [head, description, facts, tail]))


@dataclass
class _Room:
    """The room that the parts taken so far leave."""

    left: int
    measure: Callable[[str], int]
    section: str

    def __post_init__(self) -> None:
        self.left = max(self.left - self.measure(self.section), 0)

    def take(self, part: str) -> str:
        """Take the room of a part and of its separator, and return the part."""
        if part:
            self.left = max(self.left - self.measure(part + self.section), 0)
        return part


def _tail(text: AlertText, markup: Markup, links: list[Link], fits: Callable[[str], bool]) -> str:
    """Return the times, and the links that fit."""
    times = markup.times(markup.escape(text.times)) if text.times else ""
    written = markup.write_links(links, lambda written: fits(times + markup.line + written))
    return markup.line.join(filter(None, [times, written]))


def _facts(text: AlertText, markup: Markup, fits: Callable[[str], bool]) -> str:
    """Return the lines of the facts that fit, and how many more there are."""
    for count in range(min(len(text.facts), MAX_FACTS), 0, -1):
        facts, rest = text.facts_within(count)
        lines = [*map(markup.write_fact, facts), markup.escape(rest)]
        written = "\n".join(filter(None, lines))
        if fits(written):
            return written
    return ""
