"""Pushover's messages."""

from dataclasses import replace

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.content.times import is_plausible
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body, number
from delivery.text import without_empty

MESSAGE = Limit(1024, "message")
TITLE = Limit(250, "title")
URL = Limit(512, "url")
# No emergency priority: it would repeat after the alert has closed.
_PRIORITIES = {"critical": 1, "error": 1, "warning": 0, "info": -1, "closed": -1}
_SOUNDS = {"critical": "siren", "error": "falling"}
_KEY = "[A-Za-z0-9]{30}"
_NAMES = ("token", "user", "device")


def body(alert: AlertText) -> dict:
    """Return the message. The first link that is short enough is its own."""
    message: dict[str, object] = {name: alert.settings.option(name) for name in _NAMES}
    link = next(iter(alert.links_within(URL.maximum)), None)
    others = [other for other in alert.links if other != link]
    title = alert.title_within(TITLE.maximum)
    message["title"] = title
    message["message"] = lay_out(alert, Markup(), MESSAGE.maximum, links=others) or title
    if link:
        message |= {"url": link.url, "url_title": link.name}
    message["sound"] = _SOUNDS.get(alert.level, "")
    started = alert.event.alert.starts_at
    if started is not None and is_plausible(started) and not alert.closed:
        message["timestamp"] = started // 1000
    return {**without_empty(**message), "priority": _PRIORITIES[alert.level]}


def judge(response: Response) -> Judgement:
    """Judge by the member `status`.

    Every 4xx is permanent, even 429: it means that the messages of the month are used up.
    """
    accepted = number(response.json.get("status")) == 1
    judgement = judge_body(response, accepted, error_text(response.json.get("errors")))
    if 400 <= response.status <= 499:
        return replace(judgement, verdict=Verdict.FAILED)
    return judgement


KIND = Kind(
    name="pushover",
    label="Pushover",
    help="Sends push notifications to a user or a group.",
    url_help="Pushover's API server, or your own proxy.",
    docs="https://pushover.net/api",
    base="https://api.pushover.net",
    path="/1/messages.json",
    options=(
        Option(
            "token",
            "Application token",
            "The token of your application.",
            required=True,
            secret=True,
            pattern=_KEY,
        ),
        Option(
            "user",
            "User or group key",
            "The key of the recipient.",
            required=True,
            secret=True,
            pattern=_KEY,
        ),
        Option("device", "Device", "Sends to this device only.", pattern=r"[\w-]{1,25}"),
        TIME_ZONE,
    ),
    url_patterns=(
        UrlPattern(
            r"/1/messages\.json",
            r"api\.pushover\.net",
            {name: name for name in _NAMES},
            origin_only=True,
        ),
    ),
    limits=(MESSAGE, TITLE, URL),
    body=body,
    judge=judge_by_body(judge),
    hints={
        r"\btoken\b": "Pushover does not know this token: check the field “Application token”.",
        r"\buser\b": "Pushover does not know this recipient: check the field “User or group key”.",
        r"\bdevice\b": "Pushover does not know this device: check the field “Device”.",
    },
)
