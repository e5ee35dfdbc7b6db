"""What a message says of several alerts at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact, facts_of, subject_label
from delivery.content.links import OPEN_IN_TOCSIN, Link
from delivery.content.severity import Severity, severity_of, severity_rank
from delivery.event import Event
from delivery.installation import Installation
from delivery.settings import Settings
from delivery.text import Escape, more, one_line, truncate, utf16_length

_MAX_LINE = 400
_MAX_NAMES = 3
# Labels that say where, and are shared by alerts of different sources.
_PLACES = ("service", "namespace", "cluster")


def text_of_group(
    events: Sequence[Event],
    key: str,
    settings: Settings,
    installation: Installation,
    unlisted: int = 0,
) -> AlertText:
    """Return what a message says of the group of these events, at least one.

    `key` tells the group from others of the installation. Of a single alert, the message says all
    that it would say without a group. `unlisted` is the number of further alerts that are open.
    """
    if len(events) == 1:
        return GroupedText(events[0], settings, installation, key)
    texts = (AlertText(event, settings, installation) for event in events)
    members = tuple(sorted(texts, key=_rank))
    leading = min(members, key=_severity_rank).event
    return GroupText(leading, settings, installation, key, members, unlisted)


@dataclass(frozen=True)
class GroupedText(AlertText):
    """What a message says under the key of a group, here of its only alert."""

    group_key: str = ""

    @property
    def dedup_key(self) -> str:
        """The key that vendors know the group by."""
        return "-".join(filter(None, ["tocsin", self.installation.id, "group", self.group_key]))


@dataclass(frozen=True)
class GroupText(GroupedText):
    """What a message says of a group: a summary line, then one line for each alert.

    `event` is that of the most severe open alert, which decides severity and color. The facts are
    the labels that all alerts share. The alerts that the message is about come first, the open ones
    before the resolved ones, and then the open ones that are known already.
    """

    members: tuple[AlertText, ...] = ()
    unlisted: int = 0

    @property
    def event_name(self) -> str:
        """The name of the first alert's event, which is new."""
        return self.members[0].event_name

    @cached_property
    def open_members(self) -> list[AlertText]:
        """The alerts that are open, the most severe first."""
        return [member for member in self.members if not member.closed]

    @property
    def closed(self) -> bool:
        """Whether all alerts of the group are closed."""
        return not self.open_members

    @property
    def status_words(self) -> str:
        """The words before the names, such as `CRITICAL 7 open, 2 resolved:`."""
        resolved = len(self.members) - len(self.open_members)
        if self.closed:
            return f"All {resolved:,} resolved:"
        counts = f"{len(self.open_members) + self.unlisted:,} open"
        if resolved:
            counts += f", {resolved:,} resolved"
        return f"{(self.named_severity or self.state).upper()} {counts}:"

    @cached_property
    def name(self) -> str:
        """The names of the alerts on one line, the most severe first."""
        names = list(dict.fromkeys(member.name for member in self.members))
        shown = ", ".join(names[:_MAX_NAMES])
        return f"{shown} {more(len(names) - _MAX_NAMES)}".strip()

    @cached_property
    def named_severity(self) -> Severity | None:
        """The severity of the most severe alert that is open."""
        return severity_of(self.event.alert.labels)

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels that all alerts share."""
        labels = [member.event.alert.labels.items() for member in self.members]
        return dict(set(labels[0]).intersection(*labels[1:]))

    @cached_property
    def subject(self) -> str:
        """What all alerts of the group are about, such as `cluster eu`; empty without that."""
        name = self._subject_label
        return f"{name} {one_line(self.labels[name])}" if name else ""

    @property
    def _subject_label(self) -> str:
        places = (name for name in _PLACES if self.labels.get(name, "").strip())
        return next(places, "") or subject_label(self.labels)

    @property
    def summary(self) -> str:
        """Empty: the lines of the alerts have their summaries."""
        return ""

    @property
    def reported_summary(self) -> str:
        """The title: the summary line of the group."""
        return self.title

    @property
    def description(self) -> str:
        """One line for each alert, the most severe first."""
        return "\n".join(map(_line, self.members))

    def description_within(
        self, maximum: int, measure: Callable[[str], int] = utf16_length, escape: Escape = str
    ) -> str:
        """Return the lines that fit, escaped, and how many more there are.

        The first line is cut if it does not fit.
        """
        shown: list[str] = []
        size = 0
        line_end = escape("\n")
        for member in self.members:
            hidden = more(self.unlisted + len(self.members) - len(shown) - 1)
            room = maximum - size - measure(line_end + hidden if hidden else "")
            text = _line(member)
            line = escape(text) if shown else truncate(text, room, measure, escape)
            if not line or measure(line) > room:
                break
            shown.append(line)
            size += measure(line + line_end)
        rest = more(self.unlisted + len(self.members) - len(shown))
        written = line_end.join(filter(None, [*shown, rest]))
        return written if measure(written) <= maximum else ""

    @cached_property
    def all_facts(self) -> list[Fact]:
        """The labels that all alerts share, without the subject."""
        shared = facts_of(self.event.alert, "")
        names = self.labels.keys() - {self._subject_label}
        return [fact for fact in shared if fact.name in names]

    @property
    def times(self) -> str:
        """Empty: each alert has its own."""
        return ""

    @property
    def all_links(self) -> list[Link]:
        """The list of alerts, if it can be reached."""
        url = self.installation.alerts_url
        return [Link(OPEN_IN_TOCSIN, url)] if url else []


def _rank(member: AlertText) -> tuple[bool, bool, int, int]:
    return (member.event.is_known, *_severity_rank(member))


def _severity_rank(member: AlertText) -> tuple[bool, int, int]:
    severity = member.named_severity or Severity.CRITICAL
    return member.closed, severity_rank(severity), member.event.alert.starts_at or 0


def _line(member: AlertText) -> str:
    """Return the line of an alert: its title, and its summary unless it is known already."""
    title = member.title_within(_MAX_LINE // 2)
    if member.event.is_known:
        return f"Still open: {title}"
    summary = one_line(member.summary[:_MAX_LINE]) if member.reported_summary else ""
    return truncate(f"{title}: {summary}" if summary else title, _MAX_LINE)
