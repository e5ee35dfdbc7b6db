"""ntfy, published as JSON to the root of a server."""

import re

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.outcome import SuggestedFix
from delivery.response import Response, judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import AlertText, without_empty

TITLE, MESSAGE = (
    Limit(250, "characters", "title"),
    Limit(4096, "bytes", "message"),
)  # the title's: (?)
_TOPIC = "/(?P<topic>[A-Za-z0-9_-]{1,64})"
_PRIORITIES = {"critical": 5, "error": 4, "warning": 3, "info": 2}


def body(settings: Settings, event: Event) -> str:
    """The message; a tap opens its link."""
    words = AlertText(event.alert)
    shown = {
        "title": TITLE.truncate(words.title),
        "message": MESSAGE.truncate(words.text() or words.title),
    }
    priority, tag = (
        (2, "white_check_mark") if words.closed else (_PRIORITIES[words.severity], "rotating_light")
    )
    topic = settings.option("topic")
    return dumps(
        {
            "topic": topic,
            **shown,
            "priority": priority,
            "tags": [tag],
            **without_empty(click=words.link),
        }
    )


def suggest_fix(_answer: Response, settings: Settings) -> SuggestedFix | None:
    """JSON that is posted to a topic's own address is shown as it stands."""
    topic = re.fullmatch(_TOPIC, settings.target.path) if settings.target else None
    return (
        SuggestedFix(
            "Split the topic off", {"url": settings.origin, "options-topic": topic["topic"]}
        )
        if topic
        else None
    )


KIND = Kind(
    name="ntfy",
    label="ntfy",
    help="Pushes to everyone who follows a topic of ntfy.sh, or of a server of your own.",
    url_help="The address of the server alone; the topic has a field of its own.",
    docs="https://docs.ntfy.sh/publish/#publish-as-json",
    base="https://ntfy.sh",
    options=(
        Option("topic", "Topic", required=True, shape=_TOPIC[1:]),
        Option(
            "access_token",
            "Access token",
            "Only for a protected topic.",
            secret=True,
            shape=r"tk_\w+",
        ),
    ),
    url_patterns=(UrlPattern(_TOPIC, r"ntfy\.sh"),),
    limits=(TITLE, MESSAGE),
    body=body,
    headers=lambda settings: (
        [("Authorization", f"Bearer {token}")] if (token := settings.option("access_token")) else []
    ),
    judge=judge_by_body(judge_by_member("id", "code", "error")),
    suggest_fix=suggest_fix,
)
