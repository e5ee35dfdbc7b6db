"""Pushover's messages."""

from dataclasses import replace

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import with_path
from delivery.outcome import Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body, number
from delivery.settings import Settings
from delivery.text import AlertText, without_empty

MESSAGE, TITLE, URL = (
    Limit(1024, "characters", "message"),
    Limit(250, "characters", "title"),
    Limit(512, "characters", "url"),
)
_PRIORITIES = {"critical": 1, "error": 1, "warning": 0, "info": -1}
_NAMES = ("token", "user", "device")


def body(settings: Settings, event: Event) -> str:
    """The message. No emergency, which would ring on after the alert has closed."""
    words = AlertText(event.alert)
    who = without_empty(**{name: settings.option(name) for name in _NAMES})
    link = (
        {"url": words.link, "url_title": "Open alert"}
        if words.link and len(words.link) <= URL.most
        else {}
    )
    shown = {
        "title": TITLE.truncate(words.title),
        "message": MESSAGE.truncate(words.text() or words.title),
        **link,
    }
    return dumps({**who, **shown, "priority": 0 if words.closed else _PRIORITIES[words.severity]})


def judge(response: Response) -> Judgement:
    """Status 1; what Pushover refuses stays refused, even a 429 (the month's messages are used up)."""
    judged = judge_body(
        response, number(response.json.get("status")) == 1, error_text(response.json.get("errors"))
    )
    return replace(judged, verdict=Verdict.FAILED) if 400 <= response.status <= 499 else judged


KIND = Kind(
    name="pushover",
    label="Pushover",
    help="Pushes to the phones of a user or of a group.",
    url_help="Pushover's own server, or a proxy of yours.",
    docs="https://pushover.net/api",
    base="https://api.pushover.net",
    options=(
        Option(
            "token",
            "Application token",
            "Of an application that you registered.",
            True,
            True,
            "[A-Za-z0-9]{30}",
        ),
        Option("user", "User or group key", "Of whom to reach.", True, True, "[A-Za-z0-9]{30}"),
        Option("device", "Device", "Only this one of the user's devices.", shape=r"[\w-]{1,25}"),
    ),
    url_patterns=(
        UrlPattern(
            r"/1/messages\.json",
            r"api\.pushover\.net",
            dict(zip(_NAMES, _NAMES, strict=True)),
            splits=True,
        ),
    ),
    limits=(MESSAGE, TITLE, URL),
    body=body,
    complete_url=lambda target, _settings, _event: with_path(target, "/1/messages.json"),
    judge=judge_by_body(judge),
)
