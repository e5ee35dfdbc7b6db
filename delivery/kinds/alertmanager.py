"""Prometheus Alertmanager's `POST /api/v2/alerts`: an array of alerts."""

import re
from collections.abc import Mapping
from dataclasses import replace

from delivery.alerts.alert import AlertStatus, rfc3339, without_internal
from delivery.event import Event
from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.kinds.spec import Kind, UrlPattern
from delivery.response import PROXY_PAGE, Judgement, Response, judge_by_status
from delivery.text import AlertText

PATH = "/api/v2/alerts"
# Uptrace's choice: no false resolution while Tocsin is stopped. Without an end it is five minutes.
OPEN_MS = 30 * 24 * 3600 * 1000


def complete_url(url: ParsedUrl, _text: AlertText) -> ParsedUrl:
    """Append the API's path to a bare base URL; any other path stays as it is."""
    return replace(url, path=PATH) if url.path == "/" else url


def body(text: AlertText) -> list[dict]:
    """Return the message. Alertmanager identifies an alert by all its labels, also internal ones.

    A closing has those of the opening that was sent; an opening with other labels resolves that.
    """
    event = text.event
    notified = event.notified or event.alert
    known = replace(event.alert, name=notified.name, labels=notified.labels)
    if event.alert.closed:
        return [_message(replace(event, alert=known))]
    message = _message(event)
    ended = _message(replace(event, alert=replace(known, status=AlertStatus.CLOSED)))
    return [message] if ended["labels"] == message["labels"] else [ended, message]


def _message(event: Event) -> dict:
    alert = event.alert
    return {
        "labels": {"alertname": alert.name, **_valid_names(alert.labels)},
        "annotations": _valid_names(without_internal(alert.annotations)),
        **_times(event),
        "generatorURL": alert.url if _is_url(alert.url) else "",
    }


def judge(response: Response) -> Judgement:
    """Judge by the status, but a web page is not Alertmanager's response."""
    if response.good and response.is_page:
        return PROXY_PAGE
    return judge_by_status(response)


def _times(event: Event) -> dict[str, str]:
    """Return the start, and an end that is far ahead unless the alert is closed.

    The end of a closed alert is never in the future, where it would keep the alert firing.
    """
    alert = event.alert
    starts = event.started_at
    ends = max(starts, event.at) + OPEN_MS
    if alert.closed:
        starts = min(starts, event.at)
        ends = event.at
        if alert.ends_at is not None:
            ends = max(starts, min(alert.ends_at, event.at))
    return {"startsAt": rfc3339(starts), "endsAt": rfc3339(ends) or "9999-12-31T23:59:59.999Z"}


def _is_url(text: str) -> bool:
    """Return True for an absolute URL: Alertmanager refuses an alert with any other."""
    try:
        return bool(parse_url(text))
    except InvalidUrl:
        return False


def _valid_names(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the non-empty texts under names that every version of Alertmanager accepts.

    These have letters, digits and underscores; names that collide are numbered.
    """
    valid: dict[str, str] = {}
    for name, text in sorted(texts.items()):
        base = re.sub(r"[^A-Za-z0-9_]|^(?=[0-9])", "_", name)
        free = base
        number = 1
        while free in valid:
            number += 1
            free = f"{base}_{number}"
        if text.strip():
            valid[free] = text
    return valid


KIND = Kind(
    name="alertmanager",
    label="Alertmanager",
    help="Posts alerts to a Prometheus Alertmanager (API v2), which groups and routes them.",
    url_help=f"Tocsin appends {PATH} to a base URL such as http://alertmanager:9093; "
    "a URL with another path is used as it is.",
    docs="https://prometheus.io/docs/alerting/latest/alerts_api/",
    url_patterns=(UrlPattern("/api/v[12]/alerts"),),
    body=body,
    complete_url=complete_url,
    judge=judge,
    repeat_minutes=5,  # after a restart, it knows only the alerts that are sent again
)
