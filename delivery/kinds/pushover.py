"""Pushover's messages."""

from dataclasses import replace

from delivery.answer import Answer, Judgement, by_body, number, taken, told
from delivery.kinds import Event, Kind, Limit, Option, Shape, below, dumps
from delivery.settings import Settings
from delivery.wording import Words, filled

MESSAGE, TITLE, URL = Limit(1024, "characters", "message"), Limit(250, "characters", "title"), Limit(512, "characters", "url")
_PRIORITIES = {"critical": 1, "error": 1, "warning": 0, "info": -1}
_NAMES = ("token", "user", "device")


def body(settings: Settings, event: Event) -> str:
    """The message. No emergency, which would ring on after the alert has closed."""
    words = Words(event.alert)
    who = filled(**{name: settings.option(name) for name in _NAMES})
    link = {"url": words.link, "url_title": "Open alert"} if words.link and len(words.link) <= URL.most else {}
    shown = {"title": TITLE.cut(words.title), "message": MESSAGE.cut(words.text() or words.title), **link}
    return dumps({**who, **shown, "priority": 0 if words.closed else _PRIORITIES[words.severity]})


def judge(answer: Answer) -> Judgement:
    """Status 1; what Pushover refuses stays refused, even a 429 (the month's messages are used up)."""
    judged = taken(answer, number(answer.said.get("status")) == 1, told(answer.said.get("errors")))
    return replace(judged, verdict="failed") if 400 <= answer.status <= 499 else judged


KIND = Kind(
    name="pushover",
    label="Pushover",
    help="Pushes to the phones of a user or of a group.",
    url_help="Pushover's own server, or a proxy of yours.",
    docs="https://pushover.net/api",
    base="https://api.pushover.net",
    options=(
        Option("token", "Application token", "Of an application that you registered.", True, True, "[A-Za-z0-9]{30}"),
        Option("user", "User or group key", "Of whom to reach.", True, True, "[A-Za-z0-9]{30}"),
        Option("device", "Device", "Only this one of the user's devices.", shape=r"[\w-]{1,25}"),
    ),
    shapes=(Shape(r"/1/messages\.json", r"api\.pushover\.net", dict(zip(_NAMES, _NAMES, strict=True)), splits=True),),
    limits=(MESSAGE, TITLE, URL),
    body=body,
    complete=lambda target, _settings, _event: below(target, "/1/messages.json"),
    judge=by_body(judge),
)
