"""Opsgenie's Alert API."""

from delivery.event import Event
from delivery.guard.url import ParsedUrl
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import segment, with_path, with_query
from delivery.outcome import Reason
from delivery.response import judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import AlertText, truncate, utf16_length, without_empty

MESSAGE, ALIAS = Limit(130, "characters", "message"), Limit(512, "characters", "alias")
TEXT = Limit(15_000, "characters", "description")
_NAME, _VALUE = 60, 200  # all details together: 8 000
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


def body(_settings: Settings, event: Event) -> str:
    """A new alert, or the note that closes the one with the same alias."""
    words = AlertText(event.alert)
    if words.closed:
        return dumps({"source": "Tocsin", "note": MESSAGE.truncate(words.title)})
    facts = {
        truncate(name, _NAME, utf16_length): truncate(value, _VALUE, utf16_length)
        for name, value in words.facts
    }
    shown = without_empty(
        description=TEXT.truncate(words.summary), details={**without_empty(url=words.link), **facts}
    )
    known = {
        "message": MESSAGE.truncate(words.name),
        "alias": ALIAS.truncate(words.key),
        "priority": _PRIORITIES[words.severity],
    }
    return dumps({**known, "source": "Tocsin", **shown})


def complete_url(target: ParsedUrl, _settings: Settings, event: Event) -> ParsedUrl:
    """Closing has an address of its own, which names the alias."""
    words, alerts = AlertText(event.alert), with_path(target, "/v2/alerts")
    close = with_path(alerts, f"/{segment(ALIAS.truncate(words.key))}/close")
    return with_query(close, identifierType="alias") if words.closed else alerts


KIND = Kind(
    name="opsgenie",
    label="Opsgenie",
    help="Creates an alert, and closes it when it is over.",
    url_help="Opsgenie's own server (in the EU https://api.eu.opsgenie.com), or a proxy of yours.",
    docs="https://docs.opsgenie.com/docs/alert-api",
    base="https://api.opsgenie.com",
    options=(
        Option(
            "api_key",
            "API key",
            "Of an API integration.",
            True,
            True,
            "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ),
    ),
    url_patterns=(
        UrlPattern("/v2/alerts(/[^/]+/close)?", r"api(\.eu)?\.opsgenie\.com", splits=True),
    ),
    limits=(MESSAGE, ALIAS, TEXT),
    body=body,
    complete_url=complete_url,
    headers=lambda settings: [("Authorization", f"GenieKey {settings.option('api_key')}")],
    judge=judge_by_body(judge_by_member("requestId", "message", "errors", reason=Reason.ACCEPTED)),
    warn=lambda _target: "Opsgenie ends on 5 April 2027: plan the move to another service.",
)
