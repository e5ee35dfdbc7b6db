"""The routes of Alertmanager's configuration and of Grafana's notification policies."""

from dataclasses import replace

from delivery.alerts.grouping import MAX_GROUP_WAIT
from delivery.alerts.matchers import Matcher, MatcherError, parse_matchers, write_matcher
from web.transfer.foreign import Fields, Translation, duration_seconds, note_left_out
from web.transfer.reading import FileError, Mapping
from web.transfer.routes import Route
from web.validation import MAX_REPEAT_MINUTES

DEFAULT_REPEAT = 4 * 60  # minutes, in both systems
_NO_INTERVALS = "Tocsin has no time intervals; use silences"
_NOT_CARRIED = {"mute_time_intervals": _NO_INTERVALS, "active_time_intervals": _NO_INTERVALS}
_ALL_LABELS = "..."  # as group_by: each alert alone


def read_route(
    mapping: Mapping, translation: Translation, default_group_by: tuple[str, ...] = ()
) -> Route:
    """Return the tree of routes below a root, which matches every alert.

    Raises:
        FileError: a route has invalid matchers or times.
    """
    root = Route(mapping.line, "", group_by=default_group_by, repeat=DEFAULT_REPEAT)
    return _read(mapping, root, translation, is_root=True)


def _read(
    mapping: Mapping, parent: Route, translation: Translation, *, is_root: bool = False
) -> Route:
    """Return a route; what it does not set is as in the route above it."""
    if not isinstance(mapping, Mapping):
        raise FileError(parent.line, "a route below this one has no members.")
    note_left_out(translation, mapping, _NOT_CARRIED)
    fields = Fields(mapping)
    route = replace(
        parent,
        line=mapping.line,
        receiver=fields.text("receiver") or parent.receiver,
        matchers=() if is_root else _matchers(fields),
        continues=fields.is_on("continue"),
        routes=(),
    )
    names = mapping.get("group_by")
    if names is not None:
        route = replace(route, group_by=() if _ALL_LABELS in names else tuple(map(str, names)))
    wait = duration_seconds(fields, "group_wait")
    if wait is not None:
        route = replace(route, group_wait=min(MAX_GROUP_WAIT, round(wait)))
        if wait > MAX_GROUP_WAIT:
            text = f"group_wait: it becomes {MAX_GROUP_WAIT} seconds, the longest there is."
            translation.note(mapping.line_of("group_wait"), text)
    repeat = duration_seconds(fields, "repeat_interval")
    if repeat is not None:
        route = replace(route, repeat=min(MAX_REPEAT_MINUTES, max(1, round(repeat / 60))))
    children = [_read(child, route, translation) for child in mapping.get("routes") or []]
    return replace(route, routes=tuple(children))


def _matchers(fields: Fields) -> tuple[Matcher, ...]:
    """Return the matchers of a route, in any of the forms that both systems have had."""
    texts = [str(text) for text in fields.get("matchers") or []]
    for name, operator, value in fields.get("object_matchers") or []:
        texts.append(write_matcher(str(name), str(value), str(operator)))
    for member, operator in (("match", "="), ("match_re", "=~")):
        for name, value in (fields.get(member) or {}).items():
            texts.append(write_matcher(name, str(value), operator))
    try:
        return tuple(matcher for text in texts for matcher in parse_matchers(text))
    except MatcherError as error:
        raise FileError(fields.line, f"matchers: {error}") from None
