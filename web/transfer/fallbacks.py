"""The fallbacks of all channels after an import, by name."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def problems_of_fallbacks(
    fallbacks: Mapping[str, str], names: Iterable[str]
) -> list[tuple[str, str]]:
    """Return the channels of an import whose fallback cannot be one, each with the reason.

    `fallbacks` has the fallback of every channel there is after the import, empty for none;
    `names` are the channels that the import names.
    """
    problems = []
    for name in names:
        fallback = fallbacks.get(name, "")
        if not fallback:
            continue
        if fallback not in fallbacks:
            problems.append((name, f"There is no channel “{fallback}”."))
        elif _reaches(fallbacks, fallback, name):
            problems.append((name, "This makes a circle: choose another one, or none."))
    return problems


def _reaches(fallbacks: Mapping[str, str], start: str, name: str) -> bool:
    """Return True if a chain of fallbacks leads from one channel to another."""
    seen = set()
    while start and start not in seen:
        if start == name:
            return True
        seen.add(start)
        start = fallbacks.get(start, "")
    return False


def order_by_fallback(steps: Mapping[str, T], fallback_of: Callable[[T], str]) -> list[T]:
    """Return the steps, each after that of its fallback; a circle is broken somewhere."""
    ordered: dict[str, T] = {}
    for first in steps:
        chain = []
        name = first
        while name in steps and name not in ordered and name not in chain:
            chain.append(name)
            name = fallback_of(steps[name])
        for name in reversed(chain):
            ordered[name] = steps[name]
    return list(ordered.values())
