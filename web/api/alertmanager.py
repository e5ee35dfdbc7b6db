"""Alertmanager's reading API, for `amtool` and dashboards: alerts, groups, receivers, status.

Silences are in `web.api.alertmanager_silences`. A channel of Tocsin is a receiver.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from flask import Blueprint, g, request

from clock import now_ms
from config import VERSION
from delivery.alerts.alert import AlertStatus, rfc3339
from delivery.alerts.matchers import Matcher, MatcherError, matches, parse_matchers
from delivery.alerts.own_alerts import channel_of_key
from delivery.alerts.route_index import RouteIndex
from delivery.outbox.routes import read_routes
from delivery.outbox.silences import active_silences
from models import Alert, Channel
from web.api.alertmanager_json import Routed, alert_json, compile_receiver, labels_of_row
from web.api.alerts import NOTE_HEADER
from web.api.ingest_types import (
    AlertmanagerAlert,
    AlertmanagerGroup,
    AlertmanagerQuery,
    Receiver,
)
from web.api.operation import describe
from web.api.token_routes import route_with_token
from web.problems import ApiError

bp = Blueprint("alertmanager", __name__)

# The version of Alertmanager whose API this is. Clients compare it with their own.
COMPATIBLE_VERSION = "0.25.0"
MAX_ALERTS = 10_000
STARTED = now_ms()
_READING = ("alerts:read",)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_CONFIGURATION = "# Tocsin has channels instead of a configuration file.\n"


class AlertQuery(NamedTuple):
    """The parameters of a list of alerts."""

    matchers: tuple[Matcher, ...]
    active: bool
    silenced: bool
    receiver: Matcher | None

    def accepts(self, alert: Routed) -> bool:
        """Return True if an alert is to be listed."""
        if not (self.silenced if alert.silences else self.active):
            return False
        if self.receiver and not any(map(self.receiver.matches, alert.receivers.values())):
            return False
        return matches(self.matchers, alert.labels)


def alertmanager_route(path: str, scopes: tuple[str, ...] = _READING) -> Callable:
    """Register a reading view for a path and for `/t/<token>` with this path."""
    return route_with_token(bp, path, "GET", scopes=scopes)


@alertmanager_route("/api/v2/alerts")
@describe({200: list[AlertmanagerAlert]}, 400, query=AlertmanagerQuery, gives=("Tocsin-Note",))
def alerts(**_token):
    """List the open alerts."""
    now = now_ms()
    query = _read_query()
    found = _open_alerts(read_routes(), now)
    return [alert_json(alert, now) for alert in found if query.accepts(alert)]


@alertmanager_route("/api/v2/alerts/groups")
@describe({200: list[AlertmanagerGroup]}, 400, query=AlertmanagerQuery, gives=("Tocsin-Note",))
def groups(**_token):
    """List the open alerts by receiver, and by the labels that it groups by."""
    now = now_ms()
    query = _read_query()
    index = read_routes()
    found: dict[tuple, dict] = {}
    entries = 0
    for alert in _open_alerts(index, now):
        if not query.accepts(alert) or entries > MAX_ALERTS:
            continue
        entries += len(alert.receivers)
        shown = alert_json(alert, now)
        for key, labels, name in _groups_of(alert, query, index):
            empty = {"labels": labels, "receiver": {"name": name}, "alerts": []}
            found.setdefault(key, empty)["alerts"].append(shown)
    if entries > MAX_ALERTS:
        _note_limit()
    return list(found.values())


def _groups_of(
    alert: Routed, query: AlertQuery, index: RouteIndex
) -> Iterator[tuple[tuple, dict[str, str], str]]:
    """Yield the key, the labels and the receiver of each group of an alert.

    For a channel that does not group, each alert is a group of its own.
    """
    for channel_id, name in alert.receivers.items():
        if query.receiver and not query.receiver.matches(name):
            continue
        names = index.routes[channel_id].group_by
        labels = alert.labels
        if names:
            labels = {label: labels[label] for label in names if label in labels}
        own = () if names else (alert.row.id,)
        yield (channel_id, *own, *sorted(labels.items())), labels, name


@alertmanager_route("/api/v2/receivers")
@describe({200: list[Receiver]})
def receivers(**_token):
    """List the channels by name."""
    return [{"name": channel.name} for channel in Channel.listed()]


@alertmanager_route("/api/v2/status", scopes=("ingest", "alerts:read", "silences:read"))
@describe({200: dict[str, Any]})
def status(**_token):
    """Return the status that clients of Alertmanager read."""
    return {
        "cluster": {"name": "", "status": "disabled", "peers": []},
        "versionInfo": {
            "version": COMPATIBLE_VERSION,
            "revision": VERSION,
            "branch": "tocsin",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        },
        "config": {"original": _CONFIGURATION},
        "uptime": rfc3339(STARTED),
    }


def read_matchers() -> tuple[Matcher, ...]:
    """Return the matchers of all parameters `filter`; an alert must match each of them."""
    found: tuple[Matcher, ...] = ()
    for text in request.args.getlist("filter"):
        try:
            found += parse_matchers(text)
        except MatcherError as error:
            raise ApiError(400, f"The filter {text[:100]!r} is invalid. {error}") from None
    return found


def _read_query() -> AlertQuery:
    text = request.args.get("receiver", "")
    try:
        receiver = compile_receiver(text) if text else None
    except MatcherError:
        raise ApiError(400, "The receiver is not a valid RE2 regular expression.") from None
    # No alert of Tocsin is inhibited or unprocessed: these parameters are only checked.
    for name in ("inhibited", "unprocessed"):
        _read_flag(name)
    return AlertQuery(read_matchers(), _read_flag("active"), _read_flag("silenced"), receiver)


def _read_flag(name: str) -> bool:
    text = request.args.get(name, "true")
    if text not in _BOOLEANS:
        raise ApiError(400, f"The value of {name} is neither true nor false.")
    return _BOOLEANS[text]


def _open_alerts(index: RouteIndex, now: int) -> Iterable[Routed]:
    """Yield the open alerts with their receivers and silences, at most `MAX_ALERTS`."""
    columns: Any = Channel.select(Channel.id, Channel.name).tuples()
    names: dict[int, str] = dict(columns)
    silences = active_silences(now)
    rows = Alert.select().where(Alert.status == AlertStatus.OPEN)
    found = list(rows.order_by(Alert.urgency, Alert.changed_at.desc()).limit(MAX_ALERTS + 1))
    if len(found) > MAX_ALERTS:
        _note_limit()
    for row in found[:MAX_ALERTS]:
        labels = labels_of_row(row)
        ids = _channels_of(row, labels, index)
        receivers = {number: names[number] for number in sorted(ids & names.keys())}
        stopped = [one.id for one in silences if matches(one.matchers, labels)]
        yield Routed(row, labels, receivers, stopped)


def _channels_of(row: Alert, labels: dict[str, str], index: RouteIndex) -> set[int]:
    """Return the ids of the channels that get an alert; one about a channel has its fallback."""
    about = channel_of_key(row.key)
    if about is None:
        return index.matching(labels)
    fallback_id = index.routes[about].fallback_id if about in index.routes else None
    return set() if fallback_id is None else {fallback_id}


def _note_limit() -> None:
    g.ingest_note = f"Only the first {MAX_ALERTS:,} are listed."


@bp.after_request
def add_note(response):
    """Add the note of a request to the response."""
    if "ingest_note" in g:
        response.headers[NOTE_HEADER] = g.ingest_note
    return response
