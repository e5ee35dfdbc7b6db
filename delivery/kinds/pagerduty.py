"""PagerDuty's Events API v2."""

from delivery.alerts.alert import rfc3339
from delivery.content.alert_text import AlertText
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.outcome import Reason
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.text import json_length, truncate, without_empty

SUMMARY = Limit(1024, "summary")
KEY = Limit(255, "dedup_key")
BODY = Limit(512_000, unit="bytes")
_MAX_DESCRIPTION = 100_000  # in bytes: with twenty labels still far from the limit of the body
_SOURCE_LABELS = ("service.name", "service", "instance", "host")


def body(alert: AlertText) -> dict:
    """Return a trigger event, or the resolve event with the same key."""
    message: dict[str, object] = {
        "routing_key": alert.settings.option("routing_key"),
        "dedup_key": KEY.truncate(alert.dedup_key),
    }
    if alert.closed:
        return {**message, "event_action": "resolve"}
    labels = {KEY.truncate(name): SUMMARY.truncate(value) for name, value in alert.labels}
    description = truncate(alert.summary, _MAX_DESCRIPTION, json_length)
    payload = without_empty(
        summary=SUMMARY.truncate(alert.name),
        source=next((labels[name] for name in _SOURCE_LABELS if name in labels), "Tocsin"),
        severity=alert.severity,
        timestamp=rfc3339(alert.event.started_at),
        custom_details={**without_empty(description=description), **labels},
    )
    message |= {"event_action": "trigger", "payload": payload, "client": "Tocsin"}
    if alert.link:
        message["links"] = [{"href": alert.link, "text": "Open alert"}]
    return message


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
)
