"""Microsoft Teams: an Adaptive Card for Workflows (and for the retired connectors)."""

import re

from delivery.content.alert_text import AlertText
from delivery.escaping import escape_markdown
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, judge_body, judge_by_body
from delivery.text import json_length, truncate

BODY = Limit(28_000, unit="bytes")  # not confirmed by the vendor
# In bytes: twice the title, twenty labels and a link leave 3,000 free.
_MAX_TITLE = 1000
_MAX_SUMMARY = 9000
_MAX_NAME = 100
_MAX_VALUE = 400
_CONNECTOR = r"([^/]+\.webhook|outlook)\.office(365)?\.com"


def body(alert: AlertText) -> dict:
    """Return a message with one card."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": _truncate(alert.title, _MAX_TITLE),
        "body": _blocks(alert),
        "actions": [],
    }
    if alert.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open alert", "url": alert.link}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _blocks(alert: AlertText) -> list[dict]:
    """Return title, summary and labels."""
    blocks: list[dict] = [
        {
            "type": "TextBlock",
            "text": _truncate(alert.title, _MAX_TITLE),
            "weight": "Bolder",
            "size": "Medium",
            "color": "Good" if alert.closed else "Attention",
            "wrap": True,
        }
    ]
    summary = _truncate(alert.summary, _MAX_SUMMARY)
    if summary:
        blocks.append({"type": "TextBlock", "text": summary, "wrap": True})
    facts = [
        {"title": _truncate(name, _MAX_NAME), "value": _truncate(value, _MAX_VALUE)}
        for name, value in alert.labels
    ]
    if facts:
        blocks.append({"type": "FactSet", "facts": facts})
    return blocks


def _truncate(text: str, max_bytes: int) -> str:
    return truncate(text, max_bytes, json_length, escape_markdown)


def judge(response: Response) -> Judgement:
    """Accept what a workflow queues.

    A connector responds with exactly `1`, or with a 200 that names the error behind it.
    """
    text = response.text.strip()
    if re.search("webhook message delivery failed", text, re.I):
        temporary = re.search(r"\b(429|5\d\d)\b", text)
        return judge_body(response, False, text, verdict=Verdict.RETRY if temporary else None)
    if text == "1":
        return judge_body(response, True, text)
    accepted = not re.fullmatch(_CONNECTOR, response.host)
    return judge_body(response, accepted, text, Reason.ACCEPTED)


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    help="Sends an Adaptive Card to a workflow, which posts it to a chat or channel.",
    url_help="The URL of a flow in Workflows that starts from a webhook request.",
    docs=(
        "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/"
        "add-incoming-webhook"
    ),
    url_patterns=(
        UrlPattern(
            r"(/[^/]+)*/workflows/[^/]+/triggers/manual/paths/invoke",
            r".+\.(logic\.azure|api\.powerplatform)\.com",
            needs=("sig",),
        ),
        UrlPattern(r"/webhook(b2)?/.+", _CONNECTOR),
    ),
    limits=(BODY,),
    body=body,
    judge=judge_by_body(judge),
    url_hints={
        f"^{_CONNECTOR}/": "Microsoft has retired this kind of URL. Create a flow in "
        "Workflows that starts from a webhook, and use its URL."
    },
)
