"""PagerDuty's Events API v2."""

from delivery.alerts.alert import rfc3339
from delivery.content.alert_text import AlertText
from delivery.content.facts import label_for
from delivery.content.links import OPEN_IN_TOCSIN
from delivery.content.table import write_table
from delivery.content.times import is_plausible
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import Reason
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.text import json_length, truncate, without_empty

SUMMARY = Limit(1024, "summary")
KEY = Limit(255, "dedup_key")
BODY = Limit(512_000, unit="bytes")
_MAX_DESCRIPTION = 40_000  # in bytes: with all facts still within the limit of the body
_MAX_FACTS = 100
_COMPONENTS = ("component", "service", "app", "container", "pod", "job")
_GROUPS = ("group", "cluster", "namespace", "team", "environment", "env")


def body(alert: AlertText) -> dict:
    """Return a trigger event, or the resolve event with the same key."""
    message: dict[str, object] = {
        "routing_key": alert.settings.option("routing_key"),
        "dedup_key": KEY.truncate(alert.dedup_key),
    }
    if alert.closed:
        return {**message, "event_action": "resolve"}
    links = [{"href": link.url, "text": link.name} for link in alert.links]
    client_url = next((link.url for link in alert.links if link.name == OPEN_IN_TOCSIN), "")
    return {
        **message,
        "event_action": "trigger",
        "payload": _payload(alert),
        "client": "Tocsin",
        **without_empty(client_url=client_url, links=links),
    }


def _payload(alert: AlertText) -> dict:
    labels = alert.labels
    started = alert.event.started_at
    return without_empty(
        summary=alert.headline_within(SUMMARY.maximum),
        source=SUMMARY.truncate(alert.subject) or "Tocsin",
        severity=alert.severity,
        timestamp=rfc3339(started) if is_plausible(started) else "",
        component=SUMMARY.truncate(label_for(labels, _COMPONENTS)),
        group=SUMMARY.truncate(label_for(labels, _GROUPS)),
        **{"class": SUMMARY.truncate(label_for(labels, ("class",)) or alert.name)},
        custom_details=_details(alert),
    )


def _details(alert: AlertText) -> dict[str, str]:
    """Return what the headline does not say, as a table."""
    summary = alert.reported_summary
    if len(summary) <= SUMMARY.maximum // 2:
        summary = ""  # the headline has all of it
    rows = {
        "alert": SUMMARY.truncate(alert.name),
        "more of the summary": truncate(summary, _MAX_DESCRIPTION, json_length),
        "description": alert.description_within(_MAX_DESCRIPTION, json_length),
        "started": alert.times.removeprefix("Started "),
    }
    return write_table(alert, rows, _MAX_FACTS, KEY.maximum, SUMMARY.maximum)


def judge(response: Response) -> Judgement:
    """Judge by the member `status`; PagerDuty only queues events."""
    member = response.json.get
    detail = error_text(member("message"), member("errors"))
    return judge_body(response, member("status") == "success", detail, Reason.ACCEPTED)


KIND = Kind(
    name="pagerduty",
    label="PagerDuty",
    help="Triggers a PagerDuty incident, and resolves it when the alert closes.",
    url_help="PagerDuty's server (in the EU: https://events.eu.pagerduty.com), or your own proxy.",
    docs="https://developer.pagerduty.com/docs/send-alert-event",
    base="https://events.pagerduty.com",
    path="/v2/enqueue",
    options=(
        Option(
            "routing_key",
            "Integration key",
            "The key of an Events API v2 integration.",
            required=True,
            secret=True,
            pattern="[A-Za-z0-9]{32}",
        ),
        TIME_ZONE,
    ),
    url_patterns=(
        UrlPattern("(?P<base>)/v2/enqueue", r"events(\.eu)?\.pagerduty\.com", origin_only=True),
    ),
    limits=(SUMMARY, KEY, BODY),
    body=body,
    judge=judge_by_body(judge),
    hints={"routing.?key": "PagerDuty does not know this key: check the field “Integration key”."},
    test_note="A second message resolves the incident of a test at once.",
    closes_test=True,
    keeps_incidents=True,
)
