"""What the files of other systems have in common: their values, and what is not carried over."""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from delivery.alerts.matchers import Matcher
from web.transfer.plan import Problem
from web.transfer.reading import FileError, Mapping
from web.transfer.routes import Destination
from web.transfer.secret_texts import literal

MAX_NAME = 90  # characters of a receiver's name that a channel keeps
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$__env\{(\w+)\}|\$(\w+)", re.ASCII)
_FILE = re.compile(r"\$__file\{(.+)\}")
_HIDDEN = ("<secret>", "[REDACTED]")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


@dataclass
class Translation:
    """The entries that a foreign file becomes, and the lines of what is not carried over."""

    entries: list[Mapping] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def note(self, line: int, text: str) -> None:
        """Add a line about something that is not carried over."""
        self.notes.append(Problem(line, text))


class Receiver(NamedTuple):
    """An integration of a receiver, as the members of a channel without a name and matchers."""

    line: int
    name: str
    members: dict[str, Any]


class Fields:
    """The members of an object in a foreign file; it remembers which of them were read."""

    def __init__(self, mapping: Mapping, *others: Mapping):
        self._mappings = (mapping, *others)
        self._read: set[str] = set()
        self.line = mapping.line

    def get(self, name: str) -> Any:
        """Return a member, None without one."""
        self._read.add(name)
        for mapping in self._mappings:
            if mapping.get(name) is not None:
                return mapping[name]
        return None

    def text(self, name: str) -> str:
        """Return a member as text; empty without one."""
        value = self.get(name)
        return "" if value is None else str(value)

    def secret(self, *names: str) -> str:
        """Return the text of a secret under the first of these names, or under `…_file`."""
        for name in names:
            if self.text(name):
                return secret_text(self.text(name))
            if self.text(f"{name}_file"):
                return f"file:{self.text(f'{name}_file')}"
        return ""

    def is_off(self, name: str) -> bool:
        """Return True if a switch is off."""
        return self.text(name).lower() in ("false", "no", "off")

    def is_on(self, name: str) -> bool:
        """Return True if a switch is on."""
        return self.text(name).lower() in ("true", "yes", "on")

    def object(self, name: str) -> "Fields":
        """Return the members of an object in this one; none without it."""
        value = self.get(name)
        return Fields(value if isinstance(value, Mapping) else Mapping(self.line))

    def unread(self) -> list[str]:
        """Return the names of the members that were not read."""
        names = dict.fromkeys(name for mapping in self._mappings for name in mapping)
        return [name for name in names if name not in self._read]


def secret_text(value: str) -> str:
    """Return the text of a secret in a file of channels.

    A variable in place of the value stays one, and so does a file of Grafana.
    """
    if value in _HIDDEN:
        return "keep"
    variable = _VARIABLE.fullmatch(value)
    if variable:
        return f"env:{variable[1] or variable[2] or variable[3]}"
    file = _FILE.fullmatch(value)
    if file:
        return f"file:{file[1]}"
    return literal(value)


def duration_seconds(fields: Fields, name: str) -> float | None:
    """Return a member such as `1h30m` in seconds, None without one.

    Raises:
        FileError: it is none.
    """
    text = fields.text(name)
    if not text:
        return None
    if text == "0":
        return 0
    if not _DURATION.fullmatch(text):
        raise FileError(fields.line, f"{name}: “{text}” is no time such as 30s, 5m or 4h.")
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text, re.ASCII)
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def note_left_out(translation: Translation, mapping: Mapping, reasons: dict[str, str]) -> None:
    """Note the members of an object that Tocsin has no place for, each with its reason."""
    for name, reason in reasons.items():
        if mapping.get(name):
            translation.note(mapping.line_of(name), f"{name}: {reason}.")


def without_unset(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that have a value; False is one."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}


def add_channels(
    translation: Translation, receivers: list[Receiver], found: list[Destination]
) -> None:
    """Add a channel for each receiver and each condition under which alerts reach it.

    Names are numbered in the order of the file, so that the same file makes the same channels.
    """
    used: dict[str, int] = {}
    for destination in found:
        route = destination.route
        mine = [receiver for receiver in receivers if receiver.name == route.receiver]
        if not destination.is_exact:
            text = f"the route to “{route.receiver}” excludes too much for matchers: its channels "
            translation.note(route.line, f"{text}also get alerts that other routes take.")
        for receiver in mine:
            for condition in destination.conditions:
                name = _numbered(receiver, mine, used)
                translation.entries.append(_entry(name, receiver, destination, condition))


def _numbered(receiver: Receiver, receivers: list[Receiver], used: dict[str, int]) -> str:
    """Return an unused name: that of the receiver, with its kind if it has several."""
    name = receiver.name.strip()[:MAX_NAME]
    if len(receivers) > 1:
        name = f"{name} {receiver.members['kind']}"
    used[name] = used.get(name, 0) + 1
    if used[name] > 1:
        return f"{name} ({used[name]})"
    return name


def _entry(
    name: str, receiver: Receiver, destination: Destination, condition: tuple[Matcher, ...]
) -> Mapping:
    route = destination.route
    members = {
        "name": name,
        **receiver.members,
        "matchers": ", ".join(map(str, condition)),
        "group_by": ", ".join(route.group_by),
        "group_wait": route.group_wait if route.group_by else None,
        "repeat": route.repeat or None,
    }
    entry = Mapping(receiver.line)
    entry.update(without_unset(members))
    entry.lines["matchers"] = route.line
    return entry
