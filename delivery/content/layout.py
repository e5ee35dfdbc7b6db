"""Lay out a message that is one text: what is cut, and in which order.

The title, the times, the first link and the first facts stay, then the summary and the other links;
the other facts and the description get what they leave.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.content.links import Link
from delivery.text import Escape, truncate, utf16_length

MAX_FACTS = 12
FIRST_FACTS = 3
MAX_NAME_LENGTH = 100
MAX_VALUE_LENGTH = 300
# Of names and values where the room is too small for longer ones.
_SHORTER = (120, 40)


@dataclass(frozen=True)
class Markup:
    """How a service writes a text.

    `escape` is for texts of the alert, `escape_value` for one that never begins a line (without it,
    `escape` is). `fact` gets an escaped name and value, `more` the line on the facts that are left
    out, `times` an escaped line, and `link` a link. `line` stands between lines, `section` between
    the parts of the message, and `link_separator` between links.
    """

    escape: Escape = str
    escape_value: Escape | None = None
    fact: Callable[[str, str], str] = "{}: {}".format
    more: Callable[[str], str] = str
    times: Callable[[str], str] = str
    link: Callable[[Link], str] = lambda link: f"{link.name}: {link.url}"
    line: str = "\n"
    section: str = "\n\n"
    link_separator: str = "\n"
    max_facts: int = MAX_FACTS

    def write_fact(self, fact: Fact, max_length: int = MAX_VALUE_LENGTH) -> str:
        """Return the line of a fact, cut to a length that leaves room for others."""
        max_name = min(max_length, MAX_NAME_LENGTH)
        name = truncate(fact.name, max_name, escape=self.escape)
        return self.fact(name, truncate(fact.value, max_length, escape=self._escape_value))

    @property
    def _escape_value(self) -> Escape:
        return self.escape_value or self.escape

    def write_times(self, times: str) -> str:
        """Return the line of the times; empty without them."""
        return self.times(self.escape(times)) if times else ""

    def write_links(self, links: Iterable[Link], fits: Callable[[str], bool]) -> str:
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

    `title` is markup already, and leaves most of the room: one that does not fit is left out.
    """
    page = _Page(markup, maximum, measure)
    links = list(links)
    page.title = page.if_it_fits(title)
    page.times = page.if_it_fits(markup.write_times(text.times))
    page.links = page.write_links(links[:1], maximum * 2 // 3)
    first_facts = page.facts = page.write_facts(text, FIRST_FACTS, page.room // 2)
    room = page.room_beside(page.write_links(links[1:], maximum))
    page.summary = truncate(text.summary, room, measure, markup.paragraph)
    page.links = ""
    page.links = page.write_links(links, page.room)
    page.facts = ""
    room = page.room_beside(text.description_within(page.room, measure, markup.paragraph))
    page.facts = page.write_facts(text, markup.max_facts, max(room, measure(first_facts)))
    page.description = text.description_within(page.room, measure, markup.paragraph)
    return str(page)


@dataclass
class _Page:
    """The parts of a message so far, and the room that they leave."""

    markup: Markup
    maximum: int
    measure: Callable[[str], int]
    title: str = ""
    summary: str = ""
    description: str = ""
    facts: str = ""
    times: str = ""
    links: str = ""

    def __str__(self) -> str:
        line = self.markup.line
        head = line.join(filter(None, [self.title, self.summary]))
        tail = line.join(filter(None, [self.times, self.links]))
        return self.markup.section.join(filter(None, [head, self.description, self.facts, tail]))

    @property
    def room(self) -> int:
        """How long another part may be."""
        taken = str(self)
        if taken:
            taken += self.markup.section
        return max(self.maximum - self.measure(taken), 0)

    def room_beside(self, part: str) -> int:
        """Return the room beside a part that follows, or half of the room if that is more."""
        separators = self.markup.section + self.markup.link_separator
        needed = self.measure(part + separators) if part else 0
        return max(self.room // 2, self.room - needed)

    def if_it_fits(self, part: str) -> str:
        """Return the part; empty if there is no room for it."""
        return part if self.measure(part) <= self.room else ""

    def write_links(self, links: list[Link], maximum: int) -> str:
        """Return the links that fit into this length, and into the room."""
        room = min(maximum, self.room)
        return self.markup.write_links(links, lambda written: self.measure(written) <= room)

    def write_facts(self, text: AlertText, count: int, maximum: int) -> str:
        """Return the lines of the facts that fit, and how many more there are.

        The first facts are cut before one of them is left out.
        """
        for number, max_length in _lengths(min(count, len(text.facts))):
            facts, rest = text.facts_within(number)
            lines = [self.markup.write_fact(fact, max_length) for fact in facts]
            if rest:
                lines.append(self.markup.more(self.markup.escape(rest)))
            written = "\n".join(lines)
            if self.measure(written) <= maximum:
                return written
        return ""


def _lengths(count: int) -> Iterator[tuple[int, int]]:
    """Yield numbers of facts, each with the greatest length of their values, the best first."""
    for number in range(count, 0, -1):
        yield number, MAX_VALUE_LENGTH
        if number <= FIRST_FACTS:
            for max_length in _SHORTER:
                yield number, max_length
