"""Find the channels that match an alert without trying the matchers of all. Pure."""

from collections.abc import Iterable, Mapping

from delivery.alerts.matchers import matches
from delivery.alerts.plans import ChannelRoute


class RouteIndex:
    """Routes by channel id, and by a label that an alert must have to match.

    A route with a matcher such as `team="db"` is tried for alerts with exactly that label; one
    without such a matcher is tried for all.
    """

    def __init__(self, routes: Iterable[ChannelRoute]):
        self.routes = {route.channel_id: route for route in routes}
        self._by_label: dict[tuple[str, str], list[ChannelRoute]] = {}
        self._others: list[ChannelRoute] = []
        for route in self.routes.values():
            label = _required_label(route)
            if label is None:
                self._others.append(route)
            else:
                self._by_label.setdefault(label, []).append(route)

    def matching(self, labels: Mapping[str, str]) -> set[int]:
        """Return the ids of the channels whose matchers match an alert with these labels."""
        found = set()
        for route in self._others:
            if not route.matchers or matches(route.matchers, labels):
                found.add(route.channel_id)
        for label in labels.items():
            for route in self._by_label.get(label, ()):
                if matches(route.matchers, labels):
                    found.add(route.channel_id)
        return found


def _required_label(route: ChannelRoute) -> tuple[str, str] | None:
    """Return a label that an alert must have; an empty value matches one without the label."""
    for matcher in route.matchers:
        if matcher.operator == "=" and matcher.value:
            return matcher.name, matcher.value
    return None
