"""What a source measured, as a text that people read."""

import math
import re
from collections.abc import Iterable, Mapping

from delivery.alerts.alert import to_text
from delivery.json_text import parse_or_none

MAX_VALUES = 20
MAX_LENGTH = 1000
_MAX_PARSED_LENGTH = 10_000
_MAX_INTEGER = 10**15
# The names and values of Grafana's `valueString`: [ var='B' labels={host=web} value=7.1 ], …
_PIECES = re.compile(r"\[ (?:var|metric)='([^']*)'|\bvalue=([^\s,\]]+)")


def value_of(members: Mapping, annotations: Mapping[str, str]) -> str:
    """Return the value of an alert of Grafana, as it sends it to a webhook or an Alertmanager."""
    values = members.get("values") or parse_or_none(annotations.get("__values__", ""))
    text = members.get("valueString") or annotations.get("__value_string__", "")
    return value_text(values, text)


def value_text(values: object, value_string: object) -> str:
    """Return the numbers of `values` as `7.1`, or as `A=3, B=7.1` if there are several.

    Without a number in `values`, they are those of `valueString`, or its text if it has none.
    """
    numbers = _numbers(values.items()) if isinstance(values, Mapping) else {}
    text = to_text(value_string)[:_MAX_PARSED_LENGTH]
    if not numbers:
        pieces = list(_named_values(text))
        if not pieces:
            return text.strip()[:MAX_LENGTH]
        numbers = _numbers(pieces)
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    pairs = [f"{name}={number}" for name, number in numbers.items()]
    return ", ".join(pairs[:MAX_VALUES])[:MAX_LENGTH]


def _named_values(text: str) -> Iterable[tuple[str, str]]:
    name = ""
    for named, value in _PIECES.findall(text):
        if value:
            yield name, value
        else:
            name = named


def _numbers(pairs: Iterable[tuple[object, object]]) -> dict[str, str]:
    """Return those of the pairs whose values are finite numbers."""
    written = {to_text(name): short_number(value) for name, value in pairs}
    return {name: number for name, number in written.items() if number}


def short_number(value: object) -> str:
    """Return a number with at most six significant digits; empty for anything else.

    Integers are exact, and no number of a usual size has an exponent.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return ""
    if not math.isfinite(number):
        return ""
    if abs(number) < _MAX_INTEGER and (number.is_integer() or abs(number) >= 10**6):
        return str(round(number))
    return f"{number:.6g}"
