"""Microsoft Teams: an adaptive card for a webhook of Workflows (and for the retired connectors)."""

import re

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, judge_body, judge_by_body
from delivery.settings import Settings
from delivery.text import AlertText, escape_markdown, json_length, truncate

BODY = Limit(28_000, "bytes")  # (?)
_TITLE, _TEXT, _NAME, _VALUE = (
    1000,
    9000,
    100,
    400,
)  # in bytes: twice the title, twenty facts and a link leave 3 000 free
_RETIRED = r"(.+\.webhook|outlook)\.office(365)?\.com"
_REPLACE = "Microsoft has retired these URLs: make a flow in Workflows that starts from a webhook, and use its URL."


def body(_settings: Settings, event: Event) -> str:
    """The message."""
    words = AlertText(event.alert)
    title, text = (
        truncate(words.title, _TITLE, json_length, escape_markdown),
        truncate(words.summary, _TEXT, json_length, escape_markdown),
    )
    pairs = [
        (
            truncate(name, _NAME, json_length, escape_markdown),
            truncate(value, _VALUE, json_length, escape_markdown),
        )
        for name, value in words.facts
    ]
    facts = [{"title": name, "value": value} for name, value in pairs]
    look = {
        "weight": "Bolder",
        "size": "Medium",
        "color": "Good" if words.closed else "Attention",
        "wrap": True,
    }
    shown: list[dict] = [{"type": "TextBlock", "text": title, **look}]
    shown += [{"type": "TextBlock", "text": text, "wrap": True}] if text else []
    shown += [{"type": "FactSet", "facts": facts}] if facts else []
    link = (
        [{"type": "Action.OpenUrl", "title": "Open alert", "url": words.link}] if words.link else []
    )
    schema = "http://adaptivecards.io/schemas/adaptive-card.json"
    card = {
        "$schema": schema,
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": title,
        "body": shown,
        "actions": link,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return dumps(
        {
            "type": "message",
            "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
        }
    )


def judge(response: Response) -> Judgement:
    """A workflow only queues. A connector says exactly `1`, or with a 200 what has failed behind it."""
    text = response.text.strip()
    if re.search("webhook message delivery failed", text, re.I):
        return judge_body(
            response,
            False,
            text,
            verdict=Verdict.RETRY if re.search(r"\b(429|5\d\d)\b", text) else None,
        )
    connector = re.fullmatch(_RETIRED, response.host)
    return judge_body(
        response, text == "1" or not connector, text, Reason.OK if text == "1" else Reason.ACCEPTED
    )


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    help="Gives an adaptive card to a workflow, which posts it to a chat or channel.",
    url_help="The URL that Workflows shows for a flow that starts from a webhook request.",
    docs="https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
    url_patterns=(
        UrlPattern(
            r"(/[^/]+)*/workflows/[^/]+/triggers/manual/paths/invoke",
            r".+\.(logic\.azure|api\.powerplatform)\.com",
        ),
        UrlPattern(r"/webhook(b2)?/.+", _RETIRED),
    ),
    limits=(BODY,),
    body=body,
    judge=judge_by_body(judge),
    warn=lambda target: _REPLACE if re.fullmatch(_RETIRED, target.host) else "",
)
