"""ntfy, published as JSON to the root of a server."""

import re

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.content.links import OPEN_IN_TOCSIN, RUNBOOK, Link
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import SuggestedFix
from delivery.response import Response, judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import utf8_length, without_empty

TITLE = Limit(250, "title")  # not confirmed by the vendor
MESSAGE = Limit(4096, "message", "bytes")
_TOPIC = "[A-Za-z0-9_-]{1,64}"
_TOPIC_PATH = f"/(?P<topic>{_TOPIC})"
RAW_JSON = "With a topic in the URL, ntfy shows the message as raw JSON."
_PRIORITIES = {"critical": 5, "error": 4, "warning": 3, "info": 2, "closed": 2}
# Names of emojis: https://docs.ntfy.sh/emojis/
_TAGS = {
    "critical": "rotating_light",
    "error": "red_circle",
    "warning": "warning",
    "info": "information_source",
    "closed": "white_check_mark",
}
_MAX_ACTIONS = 3


def body(alert: AlertText) -> dict:
    """Return the message with buttons; it opens the first link when tapped."""
    buttons = _buttons(alert)
    others = [link for link in alert.links if link not in buttons]
    message = lay_out(alert, Markup(), MESSAGE.maximum, utf8_length, links=others)
    return {
        "topic": alert.settings.option("topic"),
        "title": alert.title_within(TITLE.maximum),
        "message": message or alert.title_within(TITLE.maximum),
        "priority": _PRIORITIES[alert.level],
        "tags": _tags(alert),
        **without_empty(click=alert.link, actions=list(map(_action, buttons))),
    }


def _tags(alert: AlertText) -> list[str]:
    """Return the name of an emoji, and the severity if the alert names one."""
    tags = [_TAGS[alert.level], alert.named_severity or ""]
    return list(dict.fromkeys(filter(None, tags)))


def _buttons(alert: AlertText) -> list[Link]:
    """Return the links that become buttons: the first one, the runbook and Tocsin before others."""
    preferred = [link for link in alert.links[1:] if link.name in (RUNBOOK, OPEN_IN_TOCSIN)]
    others = [link for link in alert.links[1:] if link not in preferred]
    return [*alert.links[:1], *preferred, *others][:_MAX_ACTIONS]


def _action(link: Link) -> dict[str, str]:
    return {"action": "view", "label": link.name, "url": link.url}


def suggest_fix(_response: Response, settings: Settings) -> SuggestedFix | None:
    """Split a topic off the URL: ntfy shows JSON that is posted to a topic as plain text."""
    path = re.fullmatch(_TOPIC_PATH, settings.target.path) if settings.target else None
    if not path:
        return None
    changes = {"url": settings.origin, "options-topic": path["topic"]}
    return SuggestedFix("Move the topic to its own field", changes, RAW_JSON)


KIND = Kind(
    name="ntfy",
    label="ntfy",
    help="Sends push notifications to a topic of ntfy.sh or of your own server.",
    url_help="The URL of the server, without the topic.",
    docs="https://docs.ntfy.sh/publish/#publish-as-json",
    base="https://ntfy.sh",
    options=(
        Option("topic", "Topic", required=True, pattern=_TOPIC),
        Option(
            "access_token",
            "Access token",
            "Only for a protected topic.",
            secret=True,
            pattern=r"tk_\w+",
            header="Authorization",
            prefix="Bearer ",
        ),
        TIME_ZONE,
    ),
    url_patterns=(UrlPattern(_TOPIC_PATH, r"ntfy\.sh"),),
    limits=(TITLE, MESSAGE),
    body=body,
    judge=judge_by_body(judge_by_member("id", "code", "error")),
    suggest_fix=suggest_fix,
    hints={"topic": "ntfy does not accept this topic: check the field “Topic”."},
    url_hints={
        rf"^(?!ntfy\.sh/)[^/]+/{_TOPIC}/?$": f"{RAW_JSON} Enter only the server's URL here, "
        "and the topic in its own field."
    },
)
