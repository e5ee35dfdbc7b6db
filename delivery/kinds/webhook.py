"""Uptrace's JSON: one event with its alert, and the person's own JSON as the value of `payload`."""

from delivery.alerts.alert import AlertStatus, rfc3339
from delivery.event import Event
from delivery.json_text import JsonError, check, dumps
from delivery.kinds.spec import Kind
from delivery.settings import Settings


def body(settings: Settings, event: Event) -> str:
    """The message. The payload stands in it letter by letter as it was typed, so that no number loses a digit."""
    alert = event.alert
    before = {"id": str(event.number), "eventName": event_name(event)}
    after = {
        "createdAt": rfc3339(event.at),
        "alert": {
            "id": alert.id or str(event.number),
            "url": alert.url,
            "name": alert.name,
            "type": alert.type,
            "status": alert.status,
            "createdAt": rfc3339(event.at if alert.starts_at is None else alert.starts_at),
        },
    }
    return f'{dumps(before)[:-1]},"payload":{_payload(settings.payload)},{dumps(after)[1:]}'


def event_name(event: Event) -> str:
    """Uptrace's wire form (its own screen says `state-changed`, the wire says `status-changed`)."""
    if event.repeated:
        return "recurring"
    return "status-changed" if event.alert.status == AlertStatus.CLOSED else "created"


def _payload(text: str) -> str:
    """What was typed, `null` when nothing was. A stored text that is no JSON (a damaged row) goes as a string of it."""
    if not text.strip():
        return "null"
    try:
        check(text)
    except JsonError:
        return dumps(text)
    return text.strip()


KIND = Kind(
    name="webhook",
    label="Webhook (Uptrace JSON)",
    help="Sends one JSON object for each event, in the form that Uptrace sends, with your own JSON as its payload.",
    url_help="The address that takes the message, as the receiver gave it to you.",
    body=body,
    uses=frozenset({"method", "payload"}),
)
