"""What a file of channels would change: judged by the channel form, and nothing is written."""

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from delivery.settings import read_settings
from models import Channel, ChannelState
from web.api.channel_json import form_data
from web.api.channel_schema import decode_channel
from web.channels.comparison import (
    Configuration,
    Difference,
    differences,
    stored_configuration,
    typed_configuration,
)
from web.channels.editor import Edit, open_edit
from web.problems import ApiError
from web.services import services
from web.transfer.bodies import EntryRefused, body_of
from web.transfer.fallbacks import order_by_fallback, problems_of_fallbacks
from web.transfer.reading import Mapping
from web.transfer.secret_texts import Resolver

_PAUSES = ("hold", "drop")
_NOT_COMPARED = ("fallback", "version")


class Action(StrEnum):
    """What an import does to a channel."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    NOTHING = "unchanged"


class Problem(NamedTuple):
    """Why a file is refused, with the line of it."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line:,}: {self.text}"


class Step(NamedTuple):
    """What becomes of one channel of a file.

    `channel` is the stored one, without an id if it is new; `edit` is its valid form, None if it
    is deleted. `fallback` is the name of its fallback, and `pause` is `hold` or `drop` if the
    import pauses it; both may be empty.
    """

    name: str
    action: Action
    channel: Channel
    edit: Edit | None = None
    changes: tuple[Difference, ...] = ()
    fallback: str = ""
    pause: str = ""


class Plan(NamedTuple):
    """The steps of an import, fallbacks first. One with problems must not be applied."""

    steps: list[Step]
    problems: list[Problem]

    def count(self, action: Action) -> int:
        """Return the number of channels to which this happens."""
        return sum(step.action == action for step in self.steps)

    @property
    def is_empty(self) -> bool:
        """Whether applying the plan changes nothing."""
        return self.count(Action.NOTHING) == len(self.steps)


def plan_import(
    entries: list[Mapping],
    resolve: Resolver | None = None,
    provisioned: str = "",
    track: Callable[[list], Iterable] = iter,
) -> Plan:
    """Return what these entries of files change. An entry has the members of the API.

    `resolve` reads the secrets that entries name; without it, `env:` and `file:` are refused.
    `provisioned` is the mark of the channels that the import may change although they are
    provisioned. `track` wraps the entries, to show the progress.
    """
    planner = _Planner(resolve, provisioned)
    for entry in track(entries):
        planner.add(entry)
    return planner.plan()


class _Planner:
    def __init__(self, resolve: Resolver | None, provisioned: str):
        self._resolve = resolve
        self._provisioned = provisioned
        self._channels = {channel.name: channel for channel in Channel.listed()}
        self._names = {channel.id: name for name, channel in self._channels.items()}
        self._lines: dict[str, int] = {}
        self._steps: dict[str, Step] = {}
        self._problems: list[Problem] = []

    def add(self, entry: Mapping) -> None:
        """Plan one channel, or note what is wrong with it."""
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            self._problems.append(Problem(entry.line, "this entry is no channel with a name."))
            return
        name = name.strip()
        if name in self._lines:
            text = f"“{name}” is in the file twice; it is on line {self._lines[name]:,} as well."
            self._problems.append(Problem(entry.line, text))
            return
        self._lines[name] = entry.line
        try:
            self._steps[name] = self._step(name, entry)
        except EntryRefused as refused:
            for field, messages in refused.errors.items():
                label = f"{field}: " if field else ""
                text = f"“{name}”: {label}{' '.join(messages)}"
                self._problems.append(Problem(_line_of(entry, field), text))

    def plan(self) -> Plan:
        """Return the plan, with what is wrong with the fallbacks of all channels together."""
        fallbacks = dict.fromkeys(self._lines, "")
        for name, channel in self._channels.items():
            fallbacks[name] = self._name_of_fallback(channel)
        for step in self._steps.values():
            fallbacks[step.name] = step.fallback
            if step.action == Action.DELETE:
                del fallbacks[step.name]
        for name, message in problems_of_fallbacks(fallbacks, self._steps):
            self._problems.append(Problem(self._lines[name], f"“{name}”: fallback: {message}"))
        steps = order_by_fallback(self._steps, lambda step: step.fallback)
        return Plan(steps, sorted(self._problems))

    def _step(self, name: str, entry: Mapping) -> Step:
        channel = self._channels.get(name) or Channel(name="")
        if channel.provisioned not in ("", self._provisioned):
            raise EntryRefused({"": [f"This channel is provisioned by {channel.provisioned}."]})
        if entry.get("delete") is True:
            return _deletion(name, entry, channel)
        fallback = _text(entry, "fallback")
        pause = _pause(entry)
        edit = self._filled(channel, entry)
        changes = _changes(edit)
        before = self._name_of_fallback(channel)
        if before != fallback:
            changes.append(Difference("Fallback channel", before, fallback))
        if channel.state == ChannelState.PAUSED:
            pause = ""
        elif pause:
            changes.append(Difference("State", channel.state, "paused"))
        action = Action.CHANGE if changes else Action.NOTHING
        if not channel.id:
            action = Action.CREATE
            changes = [change._replace(before="") for change in changes]
        return Step(name, action, channel, edit, tuple(changes), fallback, pause)

    def _filled(self, channel: Channel, entry: Mapping) -> Edit:
        """Return the valid form of a channel with the values of an entry."""
        stored = read_settings(channel, services().keyring).settings
        body = body_of(entry, stored, self._resolve)
        try:
            decoded = decode_channel(json.dumps(body).encode())
            data = form_data(decoded, stored, channel.version)
        except ApiError as error:
            raise EntryRefused(error.errors or {"": [error.message]}) from None
        edit = open_edit(channel.id, data)
        if not edit.form.validate():
            fields = edit.form.invalid_fields()
            raise EntryRefused({field.name: list(field.errors) for field in fields})
        return edit

    def _name_of_fallback(self, channel: Channel) -> str:
        return self._names.get(channel.fallback_id or 0, "")


def _deletion(name: str, entry: Mapping, channel: Channel) -> Step:
    others = sorted(set(entry) - {"name", "delete"})
    if others:
        message = "An entry that deletes a channel has a name and nothing else."
        raise EntryRefused({member: [message] for member in others})
    action = Action.DELETE if channel.id else Action.NOTHING
    return Step(name, action, channel)


def _changes(edit: Edit) -> list[Difference]:
    """Return what a form changes, without the fallback, whose channel may not exist yet.

    The name identifies the channel, and is no change.
    """
    before = _without_fallback(stored_configuration(edit.channel, edit.stored))
    after = _without_fallback(typed_configuration(edit.form))
    before.values["name"] = after.values["name"]
    return differences(before, after, edit.form)


def _without_fallback(configuration: Configuration) -> Configuration:
    values = dict(configuration.values)
    for name in _NOT_COMPARED:
        values.pop(name, None)
    return configuration._replace(values=values)


def _text(entry: Mapping, name: str) -> str:
    value = entry.get(name) or ""
    if not isinstance(value, str):
        raise EntryRefused({name: ["This must be the name of a channel."]})
    return value.strip()


def _pause(entry: Mapping) -> str:
    value = entry.get("paused") or ""
    if value and value not in _PAUSES:
        raise EntryRefused({"paused": ["This must be hold or drop: what happens to its alerts."]})
    return value


def _line_of(entry: Mapping, field: str) -> int:
    """Return the line of the value of a form's field, such as `headers-0-name`."""
    line = entry.line
    place: Any = entry
    for part in field.split("-"):
        if isinstance(place, list) and part.isdigit():
            place = place[int(part)]
            line = getattr(place, "line", line)
        elif isinstance(place, Mapping):
            line = place.line_of(part)
            place = place.get(part)
    return line
