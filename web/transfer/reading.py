"""Files of people in YAML or JSON, as trees that know their lines.

A tree has dictionaries, lists, strings, numbers, booleans and None. Only `true` and `false` are
booleans, as in YAML 1.2: `on` and `no` are strings, and so are dates.
"""

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

import yaml
from yaml import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

MAX_DEPTH = 64
MAX_NODES = 300_000  # an alias counts as all that it stands for
MAX_FILE_BYTES = 16 * 1024 * 1024
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_VALUES = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile("[-+]?(0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class FileError(ValueError):
    """A file cannot be read; the message begins with the line."""

    def __init__(self, line: int, message: str):
        super().__init__(f"line {line}: {message}")


class Mapping(dict):
    """An object in a file: its line, and the lines and the texts of its members.

    The texts are exactly as in the file; those of YAML are not kept.
    """

    def __init__(self, line: int):
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.texts: dict[str, str] = {}

    def line_of(self, name: str) -> int:
        """Return the line of a member, or that of the object if it has no such member."""
        return self.lines.get(name, self.line)


def read_file(text: str) -> Any:
    """Return the tree of a file in YAML, or in JSON if it begins with a bracket.

    Raises:
        FileError: the text is neither, is too deep, or has two members of one name in an object.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[")):
        return _read_json(text)
    try:
        return _YamlReader(text).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileError(mark.line + 1 if mark else 1, f"{error.problem or error}.") from None
    except yaml.YAMLError as error:
        raise FileError(1, f"this is not YAML: {error}.") from None


# --- YAML -----------------------------------------------------------------------------------------


class _YamlReader:
    """Builds a tree from the events of the parser, which has no limit of its own."""

    def __init__(self, text: str):
        self._events: Iterator = yaml.parse(text, Loader=_Loader)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def read(self) -> Any:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        tree = self._value(next(self._events), 0)
        next(self._events)  # the end of the document
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise FileError(_line(following), "a second document begins here; write one.")
        return tree

    def _value(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise FileError(_line(event), f"this is nested more than {MAX_DEPTH} levels deep.")
        nodes_before = self._nodes
        self._count(event, 1)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        _refuse_tag(event)
        value: Any
        if isinstance(event, MappingStartEvent):
            value = self._mapping(event, depth)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(depth)
        else:
            value = _scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._nodes - nodes_before)
        return value

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise FileError(_line(event), f"the file has more than {MAX_NODES:,} values.")

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise FileError(_line(event), f"there is no anchor &{event.anchor} before this.")
        value, nodes = self._anchors[event.anchor]
        self._count(event, nodes)
        return value

    def _sequence(self, depth: int) -> list:
        items = []
        event = next(self._events)
        while not isinstance(event, yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
            event = next(self._events)
        return items

    def _mapping(self, start: MappingStartEvent, depth: int) -> Mapping:
        mapping = Mapping(_line(start))
        merged: list[Mapping] = []
        event = next(self._events)
        while not isinstance(event, yaml.MappingEndEvent):
            line = _line(event)
            name = _name(event)
            value = self._value(next(self._events), depth + 1)
            if name == "<<" and not event.style:
                merged += value if isinstance(value, list) else [value]
            else:
                _add(mapping, name, value, line)
            event = next(self._events)
        for other in merged:
            _merge(mapping, other)
        return mapping


def _line(event: Any) -> int:
    return event.start_mark.line + 1


def _name(event: Any) -> str:
    if not isinstance(event, ScalarEvent):
        raise FileError(_line(event), "the name of a member must be a text.")
    return event.value


def _add(mapping: Mapping, name: str, value: Any, line: int) -> None:
    if name in mapping:
        raise FileError(line, f"there are two members “{name}”.")
    mapping[name] = value
    mapping.lines[name] = line


def _merge(mapping: Mapping, other: Any) -> None:
    """Add the members of a YAML merge (`<<: *anchor`) that the object does not have itself."""
    if not isinstance(other, Mapping):
        raise FileError(mapping.line, "<< must name an object.")
    for name, value in other.items():
        if name not in mapping:
            _add(mapping, name, value, other.lines[name])


def _refuse_tag(event: Any) -> None:
    if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
        raise FileError(_line(event), f"the tag {event.tag} is not supported.")


def _scalar(event: ScalarEvent) -> Any:
    if event.style or event.tag:
        return event.value
    return plain_value(event.value)


def plain_value(text: str) -> Any:
    """Return what a text without quotation marks stands for in YAML."""
    if text in _PLAIN_VALUES:
        return _PLAIN_VALUES[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


# --- JSON -----------------------------------------------------------------------------------------


class _JsonReader(JSONDecoder):
    """The decoder of the standard library, with the lines of all members."""

    def __init__(self, text: str):
        super().__init__(strict=True, parse_constant=_refuse_constant)
        self._depth = 0
        self._line = 1
        self._counted_to = 0
        self.parse_object = self._object
        self.parse_array = self._array
        self.scan_once = py_make_scanner(self)
        self._text = text

    def line_at(self, position: int) -> int:
        """Return the line of a position; positions are asked for in ascending order."""
        self._line += self._text.count("\n", self._counted_to, position)
        self._counted_to = max(self._counted_to, position)
        return self._line

    def _object(self, start, strict, scan_once, _hook, _pairs_hook, memo):
        self._enter(start[1])
        mapping = Mapping(self.line_at(start[1] - 1))
        spans: list[tuple[int, int, int]] = []

        def scan(text: str, index: int) -> Any:
            line = self.line_at(index)
            value, end = scan_once(text, index)
            spans.append((line, index, end))
            return value, end

        pairs, end = JSONObject(start, strict, scan, None, list, memo)
        for (name, value), (line, first, last) in zip(pairs, spans, strict=True):
            _add(mapping, name, value, line)
            mapping.texts[name] = self._text[first:last]
        self._depth -= 1
        return mapping, end

    def _array(self, start, scan_once):
        self._enter(start[1])
        items, end = JSONArray(start, scan_once)
        self._depth -= 1
        return items, end

    def _enter(self, position: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            line = self.line_at(position)
            raise FileError(line, f"this is nested more than {MAX_DEPTH} levels deep.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _read_json(text: str) -> Any:
    try:
        return _JsonReader(text).decode(text)
    except JSONDecodeError as error:
        raise FileError(error.lineno, f"this is not JSON: {error.msg}.") from None
    except FileError:
        raise
    except ValueError as error:
        raise FileError(1, f"this is not JSON: {error}.") from None
