"""Prometheus Alertmanager's `POST /api/v2/alerts`: an array of alerts."""

from dataclasses import replace

from delivery.alerts.alert import AlertStatus
from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.guard.url import ParsedUrl
from delivery.kinds.alert_json import alert_json
from delivery.kinds.spec import Kind, UrlPattern
from delivery.kinds.urls import with_path
from delivery.outcome import SuggestedFix
from delivery.response import PROXY_PAGE, Judgement, Response, judge_by_status
from delivery.settings import Settings

PATH = "/api/v2/alerts"
_API_PATHS = "/api/v[12]/alerts"


def complete_url(url: ParsedUrl, _text: AlertText) -> ParsedUrl:
    """Append the API's path to a bare base URL; any other path stays as it is."""
    return replace(url, path=PATH) if url.path == "/" else url


def body(text: AlertText) -> list[dict]:
    """Return the message: every alert that it is about."""
    return [message for member in text.members for message in _messages(member.event)]


def _messages(event: Event) -> list[dict]:
    """Return an alert. Alertmanager identifies it by all its labels, also internal ones.

    A closing has those of the opening that was sent; an opening with other labels resolves that.
    """
    notified = event.notified or event.alert
    known = replace(event.alert, name=notified.name, labels=notified.labels)
    if event.alert.closed:
        return [alert_json(replace(event, alert=known))]
    message = alert_json(event)
    ended = alert_json(replace(event, alert=replace(known, status=AlertStatus.CLOSED)))
    return [message] if ended["labels"] == message["labels"] else [ended, message]


def judge(response: Response) -> Judgement:
    """Judge by the status, but a web page is not Alertmanager's response."""
    if response.good and response.is_page:
        return PROXY_PAGE
    return judge_by_status(response)


def suggest_fix(response: Response, settings: Settings) -> SuggestedFix | None:
    """Append the API's path to the prefix of a proxy, where no alerts are received."""
    target = settings.target
    if target is None or target.path == "/":
        return None
    fixed = with_path(target, PATH, _API_PATHS)
    missed = response.is_page or response.status in (404, 405)
    if not missed or fixed.path == target.path.rstrip("/"):
        return None
    return SuggestedFix(f"Add {PATH} to the URL", {"url": fixed.url})


KIND = Kind(
    name="alertmanager",
    label="Alertmanager",
    help="Posts alerts to a Prometheus Alertmanager (API v2), which groups and routes them.",
    url_help=f"Tocsin appends {PATH} to a base URL such as http://alertmanager:9093; "
    "a URL with another path is used as it is.",
    docs="https://prometheus.io/docs/alerting/latest/alerts_api/",
    url_patterns=(UrlPattern(_API_PATHS),),
    body=body,
    complete_url=complete_url,
    judge=judge,
    suggest_fix=suggest_fix,
    hints={
        "^40[45] ": f"Alertmanager receives alerts at {PATH}: check the end of the field “URL”."
    },
    test_note="A test is an alert of its own, which ends after five minutes.",
    repeat_minutes=5,  # after a restart, it knows only the alerts that are sent again
)
