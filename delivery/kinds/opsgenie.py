"""Opsgenie's Alert API."""

from delivery.answer import by_body, gives
from delivery.kinds import Event, Kind, Limit, Option, Shape, asking, below, dumps, segment
from delivery.settings import Settings
from delivery.target import Target
from delivery.wording import Words, cut, filled, units

MESSAGE, ALIAS = Limit(130, "characters", "message"), Limit(512, "characters", "alias")
TEXT = Limit(15_000, "characters", "description")
_NAME, _VALUE = 60, 200  # all details together: 8 000
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


def body(_settings: Settings, event: Event) -> str:
    """A new alert, or the note that closes the one with the same alias."""
    words = Words(event.alert)
    if words.closed:
        return dumps({"source": "Tocsin", "note": MESSAGE.cut(words.title)})
    facts = {cut(name, _NAME, units): cut(value, _VALUE, units) for name, value in words.facts}
    shown = filled(description=TEXT.cut(words.summary), details={**filled(url=words.link), **facts})
    known = {"message": MESSAGE.cut(words.name), "alias": ALIAS.cut(words.key), "priority": _PRIORITIES[words.severity]}
    return dumps({**known, "source": "Tocsin", **shown})


def complete(target: Target, _settings: Settings, event: Event) -> Target:
    """Closing has an address of its own, which names the alias."""
    words, alerts = Words(event.alert), below(target, "/v2/alerts")
    close = below(alerts, f"/{segment(ALIAS.cut(words.key))}/close")
    return asking(close, identifierType="alias") if words.closed else alerts


KIND = Kind(
    name="opsgenie",
    label="Opsgenie",
    help="Creates an alert, and closes it when it is over.",
    url_help="Opsgenie's own server (in the EU https://api.eu.opsgenie.com), or a proxy of yours.",
    docs="https://docs.opsgenie.com/docs/alert-api",
    base="https://api.opsgenie.com",
    options=(Option("api_key", "API key", "Of an API integration.", True, True, "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),),
    shapes=(Shape("/v2/alerts(/[^/]+/close)?", r"api(\.eu)?\.opsgenie\.com", splits=True),),
    limits=(MESSAGE, ALIAS, TEXT),
    body=body,
    complete=complete,
    headers=lambda settings: [("Authorization", f"GenieKey {settings.option('api_key')}")],
    judge=by_body(gives("requestId", "message", "errors", reason="accepted")),
    warn=lambda _target: "Opsgenie ends on 5 April 2027: plan the move to another service.",
)
