"""Gotify's `POST /message` (https://gotify.net/docs/pushmsg)."""

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Option, UrlPattern
from delivery.kinds.urls import with_path
from delivery.response import judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import AlertText, truncate

_TITLE, _MESSAGE = 250, 8000  # it documents no limit; these keep a message readable
_PRIORITIES = {"critical": 8, "error": 7, "warning": 5, "info": 3}


def body(_settings: Settings, event: Event) -> str:
    """The message; its link opens with a tap."""
    words = AlertText(event.alert)
    shown = {
        "title": truncate(words.title, _TITLE),
        "message": truncate(words.text() or words.title, _MESSAGE),
    }
    click = {"client::notification": {"click": {"url": words.link}}} if words.link else {}
    return dumps(
        {**shown, "priority": 3 if words.closed else _PRIORITIES[words.severity], "extras": click}
    )


KIND = Kind(
    name="gotify",
    label="Gotify",
    help="Pushes to the phones and browsers that a Gotify server of your own knows.",
    url_help="The address of the server, such as https://gotify.example.com; /message is put behind it.",
    docs="https://gotify.net/docs/pushmsg",
    options=(
        Option(
            "app_token",
            "Application token",
            "Of an application, not of a client.",
            True,
            True,
            "A.{14}",
        ),
    ),
    url_patterns=(
        UrlPattern(r"(?P<base>(/[^/]+)*)/message", query={"token": "app_token"}, splits=True),
    ),
    body=body,
    complete_url=lambda target, _settings, _event: with_path(target, "/message"),
    headers=lambda settings: (
        [("X-Gotify-Key", token)] if (token := settings.option("app_token")) else []
    ),
    judge=judge_by_body(judge_by_member("id", "error", "errorDescription")),
)
