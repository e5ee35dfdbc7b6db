"""Prometheus Alertmanager's `POST /api/v2/alerts`: an array of one alert, with the same labels for open and closed."""

import re
from collections.abc import Mapping
from dataclasses import replace

from delivery.alerts.alert import AlertStatus, rfc3339
from delivery.event import Event
from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, UrlPattern
from delivery.outcome import WORDS, Actor, Reason
from delivery.response import Judgement, Response, judge_by_status
from delivery.settings import Settings

PATH = "/api/v2/alerts"
# Without an end Alertmanager resolves an alert after five minutes unless it is sent again. Uptrace says thirty days; so do we.
STAYS_OPEN_MS = 30 * 24 * 3600 * 1000


def complete_url(target: ParsedUrl, _settings: Settings, _event: Event) -> ParsedUrl:
    """A bare base URL gets the path of the API; one that has a path is taken as it is."""
    return replace(target, path=PATH) if target.path == "/" else target


def body(_settings: Settings, event: Event) -> str:
    """The message. Alertmanager knows an alert by its whole label set, so nothing that changes may stand in the labels."""
    alert = event.alert
    starts, ends = _times(event)
    message = {
        "labels": _labels(alert.labels, alert.name),
        "annotations": _named(alert.annotations),
        "startsAt": rfc3339(starts),
        "endsAt": rfc3339(ends) or "9999-12-31T23:59:59.999Z",
        "generatorURL": alert.url if _is_url(alert.url) else "",
    }
    return dumps([message])


def judge(response: Response) -> Judgement:
    """By the status; but a page where Alertmanager would have said nothing is somebody else's."""
    if response.good and response.is_page:
        return Judgement(Reason.BODY_SAYS_ERROR, WORDS["a_page"], actor=Actor.PROXY)
    return judge_by_status(response)


def _times(event: Event) -> tuple[int, int]:
    """Start and end: far ahead while the alert is open, and never ahead once it is closed, or it would fire on."""
    alert = event.alert
    starts = event.at if alert.starts_at is None else alert.starts_at
    if alert.status != AlertStatus.CLOSED:
        return starts, max(starts, event.at) + STAYS_OPEN_MS
    ends = event.at if alert.ends_at is None else min(alert.ends_at, event.at)
    return min(starts, event.at), max(ends, min(starts, event.at))


def _is_url(text: str) -> bool:
    """Alertmanager refuses the whole alert when this field is no absolute URL."""
    try:
        return bool(parse_url(text))
    except InvalidUrl:
        return False


def _labels(labels: Mapping[str, str], name: str) -> dict[str, str]:
    named = _named(labels)
    return {"alertname": named.pop("alertname", "") or name, **named}


def _named(texts: Mapping[str, str]) -> dict[str, str]:
    """Names of letters, digits and underscores (all versions take those); empty values are left out, collisions numbered."""
    named: dict[str, str] = {}
    for name, text in sorted(texts.items()):
        if text.strip():
            named[_free_name(re.sub(r"[^A-Za-z0-9_]|^(?=[0-9])", "_", name), named)] = text
    return named


def _free_name(name: str, judge_body: Mapping[str, str]) -> str:
    if name not in judge_body:
        return name
    number = 2
    while f"{name}_{number}" in judge_body:
        number += 1
    return f"{name}_{number}"


KIND = Kind(
    name="alertmanager",
    label="Alertmanager",
    help="Posts the alert to a Prometheus Alertmanager (API v2), which groups it and notifies by its own rules.",
    url_help=f"A bare address such as http://alertmanager:9093 is completed with {PATH}; any other path is taken as it is.",
    docs="https://prometheus.io/docs/alerting/latest/alerts_api/",
    url_patterns=(UrlPattern("/api/v[12]/alerts"),),
    body=body,
    complete_url=complete_url,
    judge=judge,
)
