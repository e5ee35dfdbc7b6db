"""A tree of routes, as Alertmanager and Grafana have it, as matchers of channels. Pure.

In a tree, an alert goes to the first route that matches, and on to the next ones only from a route
that continues. A channel gets every alert that its matchers match. So the channel of a route also
excludes what an earlier route takes. "Neither a nor b" is `not a, not b`, but "not both a and b"
has no matchers of its own: there, one route becomes several channels, and no alert matches two of
them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from delivery.alerts.matchers import Matcher

MAX_CONDITIONS = 8  # channels that one route may become
_OPPOSITES = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}

# Matchers that must all match.
Condition = tuple[Matcher, ...]


@dataclass(frozen=True)
class Route:
    """A route of the tree; its settings are its own, or those of the routes above it.

    `group_wait` is in seconds, `repeat` in minutes. `line` is that of the route in its file.
    """

    line: int
    receiver: str
    matchers: Condition = ()
    continues: bool = False
    group_by: tuple[str, ...] = ()
    group_wait: int | None = None
    repeat: int = 0
    routes: tuple["Route", ...] = ()


class Destination(NamedTuple):
    """What reaches the receiver of a route: alerts that satisfy one of the conditions.

    `is_exact` is False if that took too many conditions; then they also match alerts that other
    routes take.
    """

    route: Route
    conditions: list[Condition]
    is_exact: bool


def destinations(root: Route) -> list[Destination]:
    """Return what reaches each route, in the order of the tree, without unreachable routes."""
    return list(_walk(root, [()]))


def _walk(route: Route, reaching: list[Condition]) -> Iterator[Destination]:
    """Yield the destinations at and below a route, where alerts of these conditions arrive."""
    matching = _both(reaching, route.matchers)
    passing = matching  # what no child has taken
    own = matching  # what no child has matched
    for child in route.routes:
        yield from _walk(child, passing)
        own = _without(own, child.matchers)
        if not child.continues:
            passing = _without(passing, child.matchers)
    if not own:
        return
    if len(own) > MAX_CONDITIONS:
        yield Destination(route, matching[:MAX_CONDITIONS], is_exact=False)
    else:
        yield Destination(route, own, is_exact=True)


def _both(conditions: Iterable[Condition], matchers: Condition) -> list[Condition]:
    """Return the conditions, each with these matchers too, without what no alert satisfies."""
    joined = []
    for condition in conditions:
        simple = _simplified((*condition, *matchers))
        if simple is not None:
            joined.append(simple)
    return joined


def _without(conditions: Iterable[Condition], matchers: Condition) -> list[Condition]:
    """Return the conditions without the alerts that satisfy all of these matchers.

    What is left of each is split by the first matcher that fails, so that the parts are disjoint.
    """
    left = []
    for condition in conditions:
        if _simplified((*condition, *matchers)) is None:
            left.append(condition)  # they have nothing in common
            continue
        before: Condition = ()
        for matcher in matchers:
            part = _simplified((*condition, *before, opposite(matcher)))
            if part is not None:
                left.append(part)
            before = (*before, matcher)
    return left


def opposite(matcher: Matcher) -> Matcher:
    """Return the matcher that matches exactly when this one does not."""
    return Matcher(matcher.name, _OPPOSITES[matcher.operator], matcher.value, matcher.regex)


def _simplified(condition: Condition) -> Condition | None:
    """Return the condition without matchers that another one implies; None if nothing satisfies it.

    A label with a fixed value decides every other matcher of that label.
    """
    fixed = {matcher.name: matcher for matcher in condition if matcher.operator == "="}
    simple: list[Matcher] = []
    for matcher in condition:
        if opposite(matcher) in condition:
            return None
        decided = fixed.get(matcher.name)
        if decided and not matcher.matches(decided.value):
            return None
        if matcher not in simple and decided in (None, matcher):
            simple.append(matcher)
    return tuple(simple)
