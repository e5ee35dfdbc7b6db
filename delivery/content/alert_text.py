"""What a message says of one alert: the one structure that every kind renders."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from delivery.content.facts import Fact, facts_of, name_of, subject_of
from delivery.content.links import Link, links_of
from delivery.content.severity import (
    COLORS,
    DEFAULT_SEVERITY,
    RESOLVED_COLOR,
    Severity,
    severity_of,
)
from delivery.content.summary import FLAPPING, read_summary
from delivery.content.times import find_zone, format_duration, format_time
from delivery.event import Event
from delivery.installation import Installation
from delivery.settings import Settings
from delivery.text import Escape, more, one_line, truncate, utf16_length

TIME_ZONE_OPTION = "time_zone"


@dataclass(frozen=True)
class AlertText:
    """What a message of a channel with these settings says of the alert of an event.

    Texts have no control characters except line feeds, and may be of any length: truncate them to
    the limits of the vendor. Those that stand on one line have no line feeds. A text that the alert
    does not have is empty. A resolution is short: it has no description, no facts, and one link.
    """

    event: Event
    settings: Settings = field(default_factory=Settings)
    installation: Installation = field(default_factory=Installation)

    @property
    def members(self) -> "tuple[AlertText, ...]":
        """The alerts that the message is about: this one."""
        return (self,)

    @property
    def unlisted(self) -> int:
        """How many open alerts the message counts beyond its members."""
        return 0

    @property
    def event_name(self) -> str:
        """The name of the event in Uptrace's format."""
        return self.event.name

    @property
    def closed(self) -> bool:
        """Whether the alert is closed."""
        return self.event.alert.closed

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels as the source sent them."""
        return self.event.alert.labels

    # --- the headline ---

    @cached_property
    def named_severity(self) -> Severity | None:
        """The severity that the alert's labels name, None if they name none."""
        return severity_of(self.labels)

    @property
    def severity(self) -> Severity:
        """The severity of the alert; `error` if it names none."""
        return self.named_severity or DEFAULT_SEVERITY

    @property
    def level(self) -> str:
        """`closed` for a closed alert, else the severity: the key of a vendor's priorities."""
        return "closed" if self.closed else self.severity

    @property
    def color(self) -> str:
        """Green for a closed alert, else the color of its severity: six hexadecimal digits."""
        return RESOLVED_COLOR if self.closed else COLORS[self.named_severity or Severity.CRITICAL]

    @property
    def state(self) -> str:
        """`FIRING` or `RESOLVED`."""
        return "RESOLVED" if self.closed else "FIRING"

    @property
    def status_words(self) -> str:
        """The words before the name: `CRITICAL`, `FIRING`, or `Resolved after 12 min:`."""
        if self.event.flapping:
            return "FLAPPING"
        if not self.closed:
            return (self.named_severity or self.state).upper()
        return f"Resolved after {self.duration}:" if self.duration else "Resolved:"

    @cached_property
    def name(self) -> str:
        """The name of the alert on one line, never empty."""
        return name_of(self.event.alert)

    @cached_property
    def subject(self) -> str:
        """What the alert is about, on one line, such as a host."""
        return subject_of(self.labels)

    @property
    def title(self) -> str:
        """The headline of chats and pushes, such as `CRITICAL DiskFull · db-2`."""
        return self.title_within(10**6)

    def title_within(
        self,
        maximum: int,
        measure: Callable[[str], int] = utf16_length,
        escape: Escape = str,
    ) -> str:
        """Return the title, escaped, of at most this length.

        The name is cut first: the subject may take half of the room.
        """
        words = f"{self.status_words} "
        room = maximum - measure(words)
        subject = self._subject_within(room // 2, measure, escape)
        name = truncate(self.name, room - measure(subject), measure, escape)
        return words + name + subject

    def _subject_within(self, maximum: int, measure: Callable[[str], int], escape: Escape) -> str:
        """Return the subject behind its separator; empty if there is none, or no room for it."""
        separator = " · "
        room = maximum - measure(separator)
        subject = truncate(self.subject, room, measure, escape) if self.subject else ""
        return separator + subject if subject else ""

    def headline_within(self, maximum: int) -> str:
        """Return the headline of an incident: its summary (or name) and its subject."""
        subject = self._subject_within(maximum // 2, utf16_length, str)
        headline = one_line(self.reported_summary[: maximum * 2]) or self.name
        if self.event.flapping:
            headline = f"Flapping: {headline}"
        shortened = truncate(headline, maximum - utf16_length(subject))
        if self.subject in shortened:
            return truncate(headline, maximum)
        return shortened + subject

    # --- the texts ---

    @property
    def reported_summary(self) -> str:
        """The summary of the alert; without one, the first line of its description."""
        return self._summary_and_description[0]

    @property
    def reported_description(self) -> str:
        """What the alert says beyond its summary."""
        return self._summary_and_description[1]

    @cached_property
    def _summary_and_description(self) -> tuple[str, str]:
        return read_summary(self.event.alert.annotations)

    @property
    def summary(self) -> str:
        """The summary; of a resolution, what the alert was about."""
        if self.event.flapping:
            return f"{FLAPPING} {self.reported_summary}".strip()
        if not self.closed:
            return self.reported_summary
        about = f"Was {self.named_severity}" if self.named_severity else "Was"
        if self.reported_summary:
            return f"{about}: {self.reported_summary}"
        return about if self.named_severity else ""

    @property
    def description(self) -> str:
        """What the alert says beyond its summary; empty in a resolution."""
        return "" if self.closed else self.reported_description

    def description_within(
        self, maximum: int, measure: Callable[[str], int] = utf16_length, escape: Escape = str
    ) -> str:
        """Return the description, escaped, of at most this length."""
        return truncate(self.description, maximum, measure, escape)

    @cached_property
    def value(self) -> str:
        """What the source measured, on one line."""
        alert = self.event.alert
        return one_line(alert.value or alert.annotations.get("value", ""))

    @cached_property
    def all_facts(self) -> list[Fact]:
        """Every fact, the most important first."""
        return facts_of(self.event.alert, self.value)

    @property
    def facts(self) -> list[Fact]:
        """The facts that a message shows, the most important first; none in a resolution."""
        return [] if self.closed else self.all_facts

    def facts_within(self, maximum: int) -> tuple[list[Fact], str]:
        """Return at most so many facts, and `and 3 more` if that leaves some out."""
        hidden = len(self.facts) - maximum
        return self.facts[:maximum], more(hidden)

    # --- times ---

    @cached_property
    def _zone(self):
        name = self.settings.option(TIME_ZONE_OPTION)
        return (find_zone(name) if name else None) or self.installation.time_zone

    @cached_property
    def started(self) -> str:
        """When the alert started, such as `2026-03-02 10:15 +01:00`; empty if that is unknown."""
        return format_time(self.event.alert.starts_at, self._zone)

    @property
    def ended(self) -> str:
        """When the alert ended; empty while it is open."""
        if not self.closed:
            return ""
        return format_time(self.ended_at, self._zone)

    @property
    def ended_at(self) -> int:
        """When a closed alert ended, in milliseconds since the epoch."""
        ends_at = self.event.alert.ends_at
        return self.event.at if ends_at is None else ends_at

    @cached_property
    def duration(self) -> str:
        """How long the alert lasted, or has lasted, such as `12 min`; empty if unknown."""
        return "" if self.duration_ms is None else format_duration(self.duration_ms)

    @property
    def duration_ms(self) -> int | None:
        """The time from start to end, or to now; None without a start. It may be implausible."""
        started = self.event.alert.starts_at
        ended = self.ended_at if self.closed else self.event.at
        return None if started is None else ended - started

    @property
    def times(self) -> str:
        """The start and the duration as one line; of a resolution, the start and the end."""
        if not self.started:
            return ""
        if self.closed and self.ended:
            day = self.started[:11]
            return f"Started {self.started}, ended {self.ended.removeprefix(day)}"
        ago = f" ({self.duration} ago)" if self.duration and not self.closed else ""
        return f"Started {self.started}{ago}"

    # --- links and keys ---

    @cached_property
    def all_links(self) -> list[Link]:
        """Every link, in the order of their use."""
        event = self.event
        return links_of(event.alert, self.installation, event.is_test)

    @property
    def links(self) -> list[Link]:
        """The links that a message shows; one in a resolution."""
        return self.all_links[:1] if self.closed else self.all_links

    def links_within(self, max_length: int) -> list[Link]:
        """Return the links whose URLs are of at most this length."""
        return [link for link in self.links if len(link.url) <= max_length]

    @property
    def link(self) -> str:
        """The first URL; empty if there is none."""
        return self.links[0].url if self.links else ""

    @cached_property
    def dedup_key(self) -> str:
        """The key that vendors know the alert by: at most 110 plain characters.

        It holds the installation, the alert, and which of its openings this is. The alert of a test
        never has the key of a real one.
        """
        alert = self.event.alert
        key = alert.id or json.dumps([alert.name, sorted(alert.labels.items())])
        if not re.fullmatch(r"[\w.:-]{1,64}", key, re.ASCII):
            key = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        parts = ["tocsin", key]
        if self.event.is_test:
            parts = ["tocsin", "test", self.installation.id, key]
        elif self.event.opening is not None:
            parts = ["tocsin", self.installation.id, key, str(self.event.opening)]
        return "-".join(filter(None, parts))
