"""Messages of the kinds, and what becomes of them, for the tests of the kinds.

`request_of` and `outcome_of` send a message; the fixture `requests_mock` intercepts it.
"""

import json
import re

import pytest

from delivery import sender
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.kinds import kinds
from delivery.message import build
from delivery.response import Response
from delivery.settings import Header, Settings
from delivery.text import utf8_length, utf16_length

VENDOR_KINDS = [
    "slack",
    "discord",
    "teams",
    "telegram",
    "mattermost",
    "googlechat",
    "feishu",
    "dingtalk",
    "wecom",
    "ntfy",
    "pagerduty",
    "opsgenie",
    "pushover",
    "gotify",
]
AT = 1772442900120  # 2026-03-02T09:15:00.120Z
LINK = "https://alerts.example.test/alerts/4711"
WORKFLOW_URL = "https://hooks.slack.com/triggers/T0/123/abc"
PROXY_PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>"
OPTIONS = {
    "bot_token": "123456:AA-TOKEN",
    "chat_id": "-1001234567890",
    "topic": "ops-alerts",
    "access_token": "tk_TOKEN",
    "routing_key": "R0UT1NGKEY000000000000000000000A",
    "api_key": "00000000-0000-0000-0000-000000000000",
    "token": "APPTOKEN30CHARS",
    "user": "USERKEY30CHARS",
    "app_token": "APPTOKEN",
}
LATENCY = {
    "id": "4711",
    "name": "p99 latency above 800 ms",
    "labels": {"service.name": "checkout", "severity": "critical", "team": ""},
    "annotations": {"summary": "p99 is 1.2 s, limit 800 ms"},
    "starts_at": "2026-03-02T09:15:00.120457Z",
    "url": LINK,
}
_MEASURES = {"characters": utf16_length, "bytes": utf8_length}


def channel_of(kind, url="", **options):
    """Return the settings of a channel of this kind with the options that it requires."""
    known = kinds()[kind]
    values = {option.name: OPTIONS[option.name] for option in known.options if option.required}
    values |= options
    return Settings(
        kind=kind,
        url=url or known.base or "https://own.example.test/hook",
        body="{}",
        options=tuple(Header(name, text, True) for name, text in values.items()),
    )


def message_of(kind, parts=LATENCY, url="", at=AT, closed=False, **options):
    """Return the message of a channel of this kind."""
    if closed and isinstance(parts, dict):
        parts = {**parts, "status": "closed"}
    return build(channel_of(kind, url, **options), Event(Alert.from_json(parts), 1, at))


def body_of(kind, parts=LATENCY, **options):
    """Return the body of the message, parsed as strictly as a receiver may parse it."""
    text = message_of(kind, parts, **options).body.decode("utf-8")
    return json.loads(text, parse_constant=pytest.fail)


def text_of(**parts):
    """Return the texts of the alert with these parts."""
    return AlertText(Event(Alert.from_json(parts), 1, AT))


def texts_of(value, name=""):
    """Yield every text of a message with the name that it stands under."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from texts_of(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from texts_of(member, name)
    elif isinstance(value, str):
        yield name, value


def assert_within_limits(kind, message):
    """Fail unless the message is strict JSON and no part of it exceeds a limit of the vendor."""
    text = message.body.decode("utf-8")
    body = json.loads(text, parse_constant=pytest.fail)
    texts = [*texts_of(body), ("body", text)]
    for embed in body.get("embeds", []):
        fields = embed.get("fields", [])
        parts = [embed["title"], embed.get("description", "")]
        parts += [field[key] for field in fields for key in ("name", "value")]
        texts.append(("embeds", "".join(parts)))
        assert len(fields) <= 25
        assert all(field["name"] and field["value"] for field in fields)
    for limit in kinds()[kind].limits:
        measure = _MEASURES[limit.unit]
        longest = max((measure(part) for name, part in texts if name == limit.part), default=0)
        assert longest <= limit.maximum, (kind, limit, longest)
    for name, part in texts:
        assert name == "body" or not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", part), (kind, name)


def request_of(requests_mock, kind, parts=LATENCY, url="", closed=False, **options):
    """Send the message of a channel of this kind, and return the request."""
    message = message_of(kind, parts, url, closed=closed, **options)
    requests_mock.post(message.target.url)
    sent = sender.send(message, channel_of(kind, url, **options), Policy())
    assert sent.outcome.status == 200
    return requests_mock.last_request


def json_of(requests_mock, kind, parts=LATENCY, **options):
    """Send the message, and return its body, parsed as strictly as a receiver may parse it."""
    request = request_of(requests_mock, kind, parts, **options)
    assert request.headers["Content-Type"] == "application/json"
    return request.json(parse_constant=pytest.fail)


def to_bytes(body):
    """Return the bytes of a body: bytes, a text, or a value that is sent as JSON."""
    if not isinstance(body, str | bytes):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    return body


def outcome_of(requests_mock, kind, status, body, headers=None, url=""):
    """Send a message of this kind at `AT`, and return the outcome of this response."""
    message = message_of(kind, url=url)
    requests_mock.post(
        message.target.url, status_code=status, content=to_bytes(body), headers=headers or {}
    )
    channel = channel_of(kind, url)
    return sender.send(message, channel, Policy(), now=lambda: AT / 1000).outcome


def response_of(status, body, headers=None, **parts):
    """Return the response with this body."""
    return Response(status, tuple((headers or {}).items()), to_bytes(body), **parts)
