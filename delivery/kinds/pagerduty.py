"""PagerDuty's Events API v2."""

from delivery.alert import rfc3339
from delivery.answer import Answer, Judgement, by_body, taken, told
from delivery.kinds import Event, Kind, Limit, Option, Shape, below, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut, filled, spelled

SUMMARY, KEY, BODY = Limit(1024, "characters", "summary"), Limit(255, "characters", "dedup_key"), Limit(512_000, "bytes")
_TEXT = 100_000  # in bytes: with twenty facts still far from the limit of the whole


def body(settings: Settings, event: Event) -> str:
    """A trigger, and a resolve with the same key."""
    words, alert = Words(event.alert), event.alert
    who = {"routing_key": settings.option("routing_key"), "dedup_key": KEY.cut(words.key)}
    if words.closed:
        return dumps({**who, "event_action": "resolve"})
    facts = {KEY.cut(name): SUMMARY.cut(value) for name, value in words.facts}
    source = next((facts[name] for name in ("service.name", "service", "instance", "host") if name in facts), "Tocsin")
    payload = filled(
        summary=SUMMARY.cut(words.name),
        source=source,
        severity=words.severity,
        timestamp=rfc3339(event.at if alert.starts_at is None else alert.starts_at),
        custom_details=filled(description=cut(words.summary, _TEXT, spelled)) | facts,
    )
    links = filled(links=[{"href": words.link, "text": "Open alert"}] if words.link else [])
    return dumps({**who, "event_action": "trigger", "payload": payload, "client": "Tocsin", **links})


def judge(answer: Answer) -> Judgement:
    """PagerDuty only queues."""
    said = answer.said
    return taken(answer, said.get("status") == "success", told(said.get("message"), said.get("errors")), "accepted")


KIND = Kind(
    name="pagerduty",
    label="PagerDuty",
    help="Triggers an incident, and resolves it when the alert closes.",
    url_help="PagerDuty's own server (in the EU https://events.eu.pagerduty.com), or a proxy of yours.",
    docs="https://developer.pagerduty.com/docs/send-alert-event",
    base="https://events.pagerduty.com",
    options=(Option("routing_key", "Integration key", "Of an integration of Events API v2.", True, True, "[A-Za-z0-9]{32}"),),
    shapes=(Shape("(?P<base>)/v2/enqueue", r"events(\.eu)?\.pagerduty\.com", splits=True),),
    limits=(SUMMARY, KEY, BODY),
    body=body,
    complete=lambda target, _settings, _event: below(target, "/v2/enqueue"),
    judge=by_body(judge),
)
