"""Slack's incoming webhooks, and the webhooks of its workflows."""

import re

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.settings import Settings
from delivery.text import AlertText, escape_html, without_empty

TEXT, TITLE = (
    Limit(4000, "characters", "text"),
    Limit(1024, "characters", "title"),
)  # 40 000 are taken, 4 000 advised (?)
_FLOW = re.compile("/(workflows|triggers)/")
_GONE = ("no_service", "no_team", "channel_not_found", "no_active_hooks", "channel_is_archived")
_LATER = (
    "ratelimited",
    "rate_limited",
    "rollup_error",
    "internal_error",
    "fatal_error",
    "service_unavailable",
)


def body(settings: Settings, event: Event) -> str:
    """The message; a workflow gets the variables that it has to declare."""
    words = AlertText(event.alert)
    title, text = TITLE.truncate(words.title, escape_html), TEXT.truncate(words.text(), escape_html)
    if settings.target and _FLOW.search(settings.target.path):
        facts = "\n".join(f"{name}: {value}" for name, value in words.facts)
        parts = {
            "status": words.state,
            "summary": words.summary,
            "severity": words.severity,
            "labels": facts,
        }
        return dumps(
            {
                "title": title,
                "link": words.link,
                **{name: TEXT.truncate(one, escape_html) for name, one in parts.items()},
            }
        )
    shown = without_empty(
        color=f"#{words.color:06x}", title=title, title_link=words.link, text=text, fallback=title
    )
    return dumps({"text": title, "attachments": [shown]})


def judge(response: Response) -> Judgement:
    """`ok` as plain text, or as JSON where a workflow answers."""
    text = response.text.strip()
    error = error_text(response.json.get("error")) or text
    verdict = Verdict.GONE if error in _GONE else Verdict.RETRY if error in _LATER else None
    return judge_body(
        response, text == "ok" or response.json.get("ok") is True, error, verdict=verdict
    )


_DECLARE = "This starts a workflow: it must declare title, status, summary, link, severity and labels as its variables."
KIND = Kind(
    name="slack",
    label="Slack",
    help="Posts to a channel through an incoming webhook, or starts a workflow.",
    url_help="The webhook URL of your Slack app, or of a workflow that starts from a webhook.",
    docs="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    url_patterns=(
        UrlPattern(
            r"/services/T\w*/B\w*/\w+|/(workflows|triggers)(/[\w-]+){2,}",
            r"hooks\.slack(-gov)?\.com",
        ),
    ),
    limits=(TEXT, TITLE),
    rate_limit=((1, 1),),
    body=body,
    judge=judge_by_body(judge, gone=(404, 410)),
    warn=lambda target: _DECLARE if _FLOW.search(target.path) else "",
)
