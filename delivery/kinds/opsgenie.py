"""Opsgenie's Alert API."""

from delivery.content.alert_text import AlertText
from delivery.content.facts import label_for
from delivery.content.layout import Markup, lay_out
from delivery.content.table import write_table
from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
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
_MAX_URL = 1000
_MAX_FACTS = 25
_MAX_TAG = 50
_MAX_ENTITY = 512
_TAGS = ("team", "cluster", "namespace", "environment", "env", "service")
_MARKUP = Markup(max_facts=0)  # they are in the table of details
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


def body(alert: AlertText) -> dict:
    """Return a new alert, or the note that closes the alert with the same alias."""
    if alert.closed:
        return {"source": "Tocsin", "note": alert.title_within(MESSAGE.maximum)}
    return {
        "message": alert.headline_within(MESSAGE.maximum),
        "alias": ALIAS.truncate(alert.dedup_key),
        "priority": _PRIORITIES[alert.severity],
        "source": "Tocsin",
        "tags": _tags(alert),
        **without_empty(
            entity=truncate(alert.subject, _MAX_ENTITY),
            description=lay_out(alert, _MARKUP, DESCRIPTION.maximum, links=alert.links),
            details=_details(alert),
        ),
    }


def _tags(alert: AlertText) -> list[str]:
    found = (label_for(alert.labels, (name,)) for name in _TAGS)
    texts = [alert.severity, *(truncate(text, _MAX_TAG) for text in found)]
    return list(dict.fromkeys(filter(None, texts)))


def _details(alert: AlertText) -> dict[str, str]:
    """Return a table of the name and the facts."""
    links = alert.links_within(_MAX_URL)
    rows = {
        "alert": truncate(alert.name, _MAX_VALUE),
        "url": links[0].url if links else "",
    }
    return write_table(alert, rows, _MAX_FACTS, _MAX_NAME, _MAX_VALUE)


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
        TIME_ZONE,
    ),
    url_patterns=(
        UrlPattern("/v2/alerts(/[^/]+/close)?", r"api(\.eu)?\.opsgenie\.com", origin_only=True),
    ),
    limits=(MESSAGE, ALIAS, DESCRIPTION),
    body=body,
    complete_url=complete_url,
    test_note="A second message closes the alert of a test at once.",
    closes_test=True,
    keeps_incidents=True,
    judge=judge_by_body(judge_by_member("requestId", "message", "errors", reason=Reason.ACCEPTED)),
    url_hints={"": "Opsgenie shuts down on 5 April 2027: plan the move to another service."},
)
