"""Opsgenie's Alert API."""

from delivery.content.alert_text import AlertText
from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import segment, with_path, with_query
from delivery.outcome import Reason
from delivery.response import judge_by_body, judge_by_member
from delivery.text import truncate, without_empty

MESSAGE = Limit(130, "message")
ALIAS = Limit(512, "alias")
DESCRIPTION = Limit(15_000, "description")
# All details together: 8,000.
_MAX_NAME = 60
_MAX_VALUE = 200
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


def body(alert: AlertText) -> dict:
    """Return a new alert, or the note that closes the alert with the same alias."""
    if alert.closed:
        return {"source": "Tocsin", "note": MESSAGE.truncate(alert.title)}
    details = without_empty(url=alert.link)
    for name, value in alert.labels:
        details[truncate(name, _MAX_NAME)] = truncate(value, _MAX_VALUE)
    return {
        "message": MESSAGE.truncate(alert.name),
        "alias": ALIAS.truncate(alert.dedup_key),
        "priority": _PRIORITIES[alert.severity],
        "source": "Tocsin",
        **without_empty(description=DESCRIPTION.truncate(alert.summary), details=details),
    }


def complete_url(url: ParsedUrl, alert: AlertText) -> ParsedUrl:
    """Return the URL that creates an alert, or the one that closes it by its alias."""
    if not alert.closed:
        return url
    close = with_path(url, f"/{segment(ALIAS.truncate(alert.dedup_key))}/close")
    return with_query(close, {"identifierType": "alias"})


KIND = Kind(
    name="opsgenie",
    label="Opsgenie",
    help="Creates an Opsgenie alert, and closes it when the alert closes.",
    url_help="Opsgenie's API server (in the EU: https://api.eu.opsgenie.com), or your own proxy.",
    docs="https://docs.opsgenie.com/docs/alert-api",
    base="https://api.opsgenie.com",
    path="/v2/alerts",
    options=(
        Option(
            "api_key",
            "API key",
            "The key of an API integration.",
            required=True,
            secret=True,
            pattern="[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            header="Authorization",
            prefix="GenieKey ",
        ),
    ),
    url_patterns=(
        UrlPattern("/v2/alerts(/[^/]+/close)?", r"api(\.eu)?\.opsgenie\.com", origin_only=True),
    ),
    limits=(MESSAGE, ALIAS, DESCRIPTION),
    body=body,
    complete_url=complete_url,
    test_note="A second message closes the alert of a test at once.",
    closes_test=True,
    judge=judge_by_body(judge_by_member("requestId", "message", "errors", reason=Reason.ACCEPTED)),
    url_hints={"": "Opsgenie shuts down on 5 April 2027: plan the move to another service."},
)
