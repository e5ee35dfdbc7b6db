"""Uptrace's JSON: one event with its alert, and the user's own JSON as its `payload`.

The alert has more members than Uptrace's, and a group the list `alerts` of such objects.
"""

from delivery.alerts.alert import PAYLOAD, rfc3339, without_internal
from delivery.content.alert_text import AlertText
from delivery.content.group_text import GroupedText
from delivery.event import Event
from delivery.json_text import JsonError, check_json, dumps
from delivery.kinds import adnanh_webhook
from delivery.kinds.spec import Kind


def body(text: AlertText) -> str:
    """Return the message as text: the payload in it is exactly what the user typed."""
    event = text.event
    parts = [
        _members(id=str(event.number), eventName=text.event_name),
        f'"payload":{_payload(text.settings.payload)}',
        f'"createdAt":"{rfc3339(event.at)}"',
        f'"alert":{_alert(event)}',
    ]
    if isinstance(text, GroupedText):
        alerts = ",".join(_alert(member.event) for member in text.members)
        parts.append(f'"alerts":[{alerts}]')
    return f"{{{','.join(parts)}}}"


def _alert(event: Event) -> str:
    """Return an alert with Uptrace's members, which come first, and those that others expect.

    `startsAt` is never null and `endsAt` is null while the alert is open, as clients with types for
    a time and for an optional time read them best.
    """
    alert = event.alert
    started_at = rfc3339(event.started_at)
    ends_at = event.at if alert.ends_at is None else alert.ends_at
    members = _members(
        id=alert.id or str(event.number),
        url=alert.url,
        name=alert.name,
        type=alert.type,
        status=alert.status,
        createdAt=started_at,
        labels=without_internal(alert.labels),
        annotations=without_internal(alert.annotations),
        startsAt=started_at,
        endsAt=rfc3339(ends_at) if alert.closed else None,
        updatedAt=rfc3339(event.at),
    )
    if event.flapping:
        members += ',"flapping":true'
    payload = alert.annotations.get(PAYLOAD, "")
    if payload:
        members += f',"payload":{_payload(payload)}'
    return f"{{{members}}}"


def _members(**members: object) -> str:
    return dumps(members)[1:-1]


def _payload(text: str) -> str:
    """Return the payload as JSON; a text that is not JSON becomes a JSON string."""
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
    judge=adnanh_webhook.judge,
    hints=adnanh_webhook.HINTS,
    uses=("method", "payload"),
)
