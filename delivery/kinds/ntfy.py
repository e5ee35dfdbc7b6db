"""ntfy, published as JSON to the root of a server."""

import re

from delivery.content.alert_text import AlertText
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.outcome import SuggestedFix
from delivery.response import Response, judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import without_empty

TITLE = Limit(250, "title")  # not confirmed by the vendor
MESSAGE = Limit(4096, "message", "bytes")
_TOPIC = "[A-Za-z0-9_-]{1,64}"
_TOPIC_PATH = f"/(?P<topic>{_TOPIC})"
RAW_JSON = "With a topic in the URL, ntfy shows the message as raw JSON."
_PRIORITIES = {"critical": 5, "error": 4, "warning": 3, "info": 2, "closed": 2}


def body(alert: AlertText) -> dict:
    """Return the message, which opens the alert's link when tapped."""
    return {
        "topic": alert.settings.option("topic"),
        "title": TITLE.truncate(alert.title),
        "message": MESSAGE.truncate(alert.details_or_title),
        "priority": _PRIORITIES[alert.level],
        "tags": ["white_check_mark" if alert.closed else "rotating_light"],
        **without_empty(click=alert.link),
    }


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
