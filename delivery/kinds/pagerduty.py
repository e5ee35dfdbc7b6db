"""PagerDuty's Events API v2."""

from delivery.alerts.alert import rfc3339
from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import with_path
from delivery.outcome import Reason
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.settings import Settings
from delivery.text import AlertText, json_length, truncate, without_empty

SUMMARY, KEY, BODY = (
    Limit(1024, "characters", "summary"),
    Limit(255, "characters", "dedup_key"),
    Limit(512_000, "bytes"),
)
_TEXT = 100_000  # in bytes: with twenty facts still far from the limit of the whole


def body(settings: Settings, event: Event) -> str:
    """A trigger, and a resolve with the same key."""
    words, alert = AlertText(event.alert), event.alert
    who = {"routing_key": settings.option("routing_key"), "dedup_key": KEY.truncate(words.key)}
    if words.closed:
        return dumps({**who, "event_action": "resolve"})
    facts = {KEY.truncate(name): SUMMARY.truncate(value) for name, value in words.facts}
    source = next(
        (facts[name] for name in ("service.name", "service", "instance", "host") if name in facts),
        "Tocsin",
    )
    payload = without_empty(
        summary=SUMMARY.truncate(words.name),
        source=source,
        severity=words.severity,
        timestamp=rfc3339(event.at if alert.starts_at is None else alert.starts_at),
        custom_details=without_empty(description=truncate(words.summary, _TEXT, json_length))
        | facts,
    )
    links = without_empty(links=[{"href": words.link, "text": "Open alert"}] if words.link else [])
    return dumps(
        {**who, "event_action": "trigger", "payload": payload, "client": "Tocsin", **links}
    )


def judge(response: Response) -> Judgement:
    """PagerDuty only queues."""
    json = response.json
    return judge_body(
        response,
        json.get("status") == "success",
        error_text(json.get("message"), json.get("errors")),
        Reason.ACCEPTED,
    )


KIND = Kind(
    name="pagerduty",
    label="PagerDuty",
    help="Triggers an incident, and resolves it when the alert closes.",
    url_help="PagerDuty's own server (in the EU https://events.eu.pagerduty.com), or a proxy of yours.",
    docs="https://developer.pagerduty.com/docs/send-alert-event",
    base="https://events.pagerduty.com",
    options=(
        Option(
            "routing_key",
            "Integration key",
            "Of an integration of Events API v2.",
            True,
            True,
            "[A-Za-z0-9]{32}",
        ),
    ),
    url_patterns=(
        UrlPattern("(?P<base>)/v2/enqueue", r"events(\.eu)?\.pagerduty\.com", splits=True),
    ),
    limits=(SUMMARY, KEY, BODY),
    body=body,
    complete_url=lambda target, _settings, _event: with_path(target, "/v2/enqueue"),
    judge=judge_by_body(judge),
)
