"""Gotify's `POST /message` (https://gotify.net/docs/pushmsg)."""

from delivery.answer import by_body, gives
from delivery.kinds import Event, Kind, Option, Shape, below, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut

_TITLE, _MESSAGE = 250, 8000  # it documents no limit; these keep a message readable
_PRIORITIES = {"critical": 8, "error": 7, "warning": 5, "info": 3}


def body(_settings: Settings, event: Event) -> str:
    """The message; its link opens with a tap."""
    words = Words(event.alert)
    shown = {"title": cut(words.title, _TITLE), "message": cut(words.text() or words.title, _MESSAGE)}
    click = {"client::notification": {"click": {"url": words.link}}} if words.link else {}
    return dumps({**shown, "priority": 3 if words.closed else _PRIORITIES[words.severity], "extras": click})


KIND = Kind(
    name="gotify",
    label="Gotify",
    help="Pushes to the phones and browsers that a Gotify server of your own knows.",
    url_help="The address of the server, such as https://gotify.example.com; /message is put behind it.",
    docs="https://gotify.net/docs/pushmsg",
    options=(Option("app_token", "Application token", "Of an application, not of a client.", True, True, "A.{14}"),),
    shapes=(Shape(r"(?P<base>(/[^/]+)*)/message", query={"token": "app_token"}, splits=True),),
    body=body,
    complete=lambda target, _settings, _event: below(target, "/message"),
    headers=lambda settings: [("X-Gotify-Key", token)] if (token := settings.option("app_token")) else [],
    judge=by_body(gives("id", "error", "errorDescription")),
)
