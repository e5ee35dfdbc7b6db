"""Uptrace's JSON: one event with its alert, and the user's own JSON as its `payload`."""

from delivery.alerts.alert import rfc3339
from delivery.content.alert_text import AlertText
from delivery.json_text import JsonError, check_json, dumps
from delivery.kinds.spec import Kind


def body(text: AlertText) -> str:
    """Return the message as text: the payload in it is exactly what the user typed."""
    event = text.event
    alert = event.alert
    before = {"id": str(event.number), "eventName": event.name}
    after = {
        "createdAt": rfc3339(event.at),
        "alert": {
            "id": alert.id or str(event.number),
            "url": alert.url,
            "name": alert.name,
            "type": alert.type,
            "status": alert.status,
            "createdAt": rfc3339(event.started_at),
        },
    }
    return f'{dumps(before)[:-1]},"payload":{_payload(text.settings.payload)},{dumps(after)[1:]}'


def _payload(text: str) -> str:
    """Return the payload as JSON; a stored text that is not JSON becomes a JSON string."""
    if not text.strip():
        return "null"
    try:
        check_json(text)
    except JsonError:
        return dumps(text)
    return text.strip()


KIND = Kind(
    name="webhook",
    label="Webhook (Uptrace JSON)",
    help="Sends each event as JSON in Uptrace's format, with your own JSON as its payload.",
    url_help="The URL that receives the message.",
    body=body,
    uses=("method", "payload"),
)
