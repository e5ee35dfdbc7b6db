r"""A person's own body: a JSON document whose texts may hold `{{ name }}`. It is parsed first and filled in after.

`{{ alert.url | "none" }}` has a default: a text in either quotes, a number, true, false or null. A placeholder that is a whole
text keeps its value's type, any other becomes a part of the text. A brace that is written as `\u007b` is only a brace.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from delivery import json_text
from delivery.alerts import samples as sample_alerts
from delivery.alerts.alert import rfc3339, to_text
from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.webhook import event_name
from delivery.text import MARK, AlertText, truncate, utf8_length

LARGEST_BYTES = 256 * 1024
NAMES: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("names.toml").read_text(encoding="utf-8")
)
_FAMILIES = ("alert.labels.", "alert.annotations.")
_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")([ \t\r\n]*:)?|[^" \t\r\n]+')
_SOUND = re.compile(
    r"(?:[^\\\ud800-\udfff]+|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89a-fA-F])|\\[^u])*"
)
_DEFAULT = re.compile(
    r""""[^"]*"|'[^']*'|true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"""
)
_WHOLE = re.compile(r"(?:[^\\]+|\\u.{4}|\\[^u])*")
_EMPTY = ("null", '""', "{}", "[]")


class TemplateError(ValueError):
    """The text is no template that can be filled in; a sentence that says where and why."""


class Slot(NamedTuple):
    """One placeholder; `alone` when it is a whole text. `default` is as it stands in the message, empty when there is none."""

    name: str
    alone: bool
    default: str

    def or_default(self, text: str) -> str:
        """The value's text, or the default where that says nothing."""
        return self.default or text if text in (_EMPTY if self.alone else ("",)) else text


@dataclass(frozen=True)
class Template:
    """The JSON as it was typed, without the blanks around it, in turn with the placeholders."""

    parts: tuple[str | Slot, ...]

    def fill(self, values: Mapping[str, object]) -> str:
        """The JSON with the values, whatever they are. Over 256 KB, each is cut to an equal share; the text around stays."""
        texts = self._texts(values, LARGEST_BYTES)
        sizes = {part: utf8_length(text) for part, text in texts.items()}
        if sum(sizes[part] for part in self.parts) > LARGEST_BYTES:
            own = sum(
                utf8_length(part.default if isinstance(part, Slot) else part) for part in self.parts
            )
            slots = sum(isinstance(part, Slot) for part in self.parts)
            texts = self._texts(values, (LARGEST_BYTES - own) // slots)
        return "".join(texts[part] for part in self.parts)

    def _texts(self, values: Mapping[str, object], most: int) -> dict[str | Slot, str]:
        uses = {(part.name, part.alone) for part in self.parts if isinstance(part, Slot)}
        shown = {(name, alone): _shown(values.get(name, ""), alone, most) for name, alone in uses}
        return {
            one: one.or_default(shown[one[:2]]) if isinstance(one, Slot) else one
            for one in set(self.parts)
        }


def parse(text: str, strict: bool = True) -> Template:
    """The template; raises TemplateProblem. An unknown name is one too, unless not `strict`: then it is empty."""
    try:
        json_text.check(text)
    except json_text.JsonError as error:
        raise TemplateError(str(error)) from None
    sound = _SOUND.match(text)
    if sound and sound.end() < len(text):
        raise _problem(text, sound.end(), "half of a character stands here, which cannot be sent.")
    return Template(
        tuple(part for token in _TOKEN.finditer(text) for part in _parts(text, token, strict))
    )


def values_of(event: Event) -> dict[str, object]:
    """What the names stand for; a time that is not known is None."""
    alert, words = event.alert, AlertText(event.alert)
    return {
        **{
            f"alert.{part}": getattr(alert, part)
            for part in ("id", "name", "status", "type", "url", "labels", "annotations")
        },
        **{f"alert.labels.{name}": text for name, text in alert.labels.items()},
        **{f"alert.annotations.{name}": text for name, text in alert.annotations.items()},
        "alert.severity": words.severity,
        "alert.summary": words.summary,
        "alert.starts_at": rfc3339(alert.starts_at) or None,
        "alert.starts_at_ms": alert.starts_at,
        "alert.ends_at": rfc3339(alert.ends_at) or None,
        "alert.ends_at_ms": alert.ends_at,
        "message.id": f"msg_{event.number}",
        "message.at": rfc3339(event.at),
        "message.event": event_name(event),
    }


@cache
def samples() -> tuple[tuple[str, str, str], ...]:
    """Each name with its meaning and a value, from an alert that is closed, since that has them all."""
    at = 1772444490004
    values = values_of(
        Event(sample_alerts.samples(at, "https://tocsin.example/alerts/4711")["closed"], 4711, at)
    )
    return tuple((name, meaning, to_text(values[name])) for name, meaning in NAMES.items())


def _parts(text: str, token: re.Match, strict: bool) -> Iterator[str | Slot]:
    string, place = token[1], token.start() - 2
    if not string or token[2]:
        yield f"{string}:" if string else token[0]
        return
    alone = string.startswith('"{{') and string.endswith('}}"') and string.count("{{") == 1
    for number, piece in enumerate(string.split("{{")):
        inside, closing, after = piece.partition("}}") if number else ("", "", piece)
        if number and not closing:
            raise _problem(text, place, "{{ has no }} in the same text.")
        if "}}" in after:
            raise _problem(
                text, place + 2 + piece.rindex(after) + after.index("}}"), "}} has no {{ before it."
            )
        if number:
            yield _slot(text, inside, place, alone, strict)
        yield "" if alone else after
        place += 2 + len(piece)


def _slot(text: str, inside: str, place: int, alone: bool, strict: bool) -> Slot:
    name, bar, default = (one.strip() for one in json.loads(f'"{inside}"').partition("|"))
    if not name:
        raise _problem(
            text, place, "a name is missing between {{ and }}, such as {{ alert.name }}."
        )
    if (
        strict
        and name not in NAMES
        and not any(name.startswith(one) and name != one for one in _FAMILIES)
    ):
        raise _problem(text, place, _unknown(name))
    if bar and not _DEFAULT.fullmatch(default):
        raise _problem(
            text,
            place,
            "the default behind | must be a text in quotes, a number, true, false or null.",
        )
    literal = dumps(default[1:-1]) if default[:1] in ("'", '"') else default
    return Slot(name, alone, literal if alone else _inside(literal))


def _problem(text: str, place: int, words: str) -> TemplateError:
    return TemplateError(f"{json_text.place(text, place)}: {words}")


def _unknown(name: str) -> str:
    shown = truncate("".join(filter(str.isprintable, name[:120])), 60)
    last = shown.rpartition(".")[2]
    near = difflib.get_close_matches(
        shown.lower(), [*NAMES, *(family + last for family in _FAMILIES if last)], 1, 0.5
    )
    return f"{shown} is not known; {f'did you mean {near[0]}?' if near else 'names begin with alert. or message.'}"


def _json(value: object) -> str:
    """The value as JSON; null for what is none, such as NaN or a list within itself."""
    try:
        text = json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
            default=lambda _other: None,
        )
    except (ValueError, TypeError, RecursionError):
        return "null"
    return text.encode("utf-8", "replace").decode()


def _shown(value: object, alone: bool, most: int) -> str:
    """What stands for the value in the message, in at most so many bytes."""
    literal = _json(value)
    if not alone:
        return _shortened(_inside(literal), most)
    if utf8_length(literal) <= most:
        return literal
    return (
        _fewer(value, most)
        if isinstance(value, dict)
        else f'"{_shortened(_inside(literal), most - 2)}"'
    )


def _inside(literal: str) -> str:
    """The JSON as a part of a JSON string."""
    return (
        literal[1:-1] if literal[:1] == '"' else "" if literal in _EMPTY else dumps(literal)[1:-1]
    )


def _shortened(inside: str, most: int) -> str:
    """So many bytes of a JSON string, no escape torn apart, with a mark at their end."""
    whole = utf8_length(inside) <= most or _WHOLE.match(
        inside.encode()[: most - utf8_length(MARK)].decode(errors="ignore")
    )
    return f"{whole[0]}{MARK}" if isinstance(whole, re.Match) else inside


def _fewer(members: dict, most: int) -> str:
    """The shortest members of an object, as many as so many bytes hold, and a mark for the others."""
    texts = sorted(
        (f"{_json(str(name))}:{_json(value)}," for name, value in members.items()), key=utf8_length
    )
    fitting = sum(total <= most - 13 for total in accumulate(map(utf8_length, texts)))
    return f'{{{"".join(texts[:fitting])}"{MARK}":"{MARK}"}}'
