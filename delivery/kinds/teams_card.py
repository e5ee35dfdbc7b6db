"""The message of a Teams workflow: an Adaptive Card.

Texts of the alert stand in text runs, where no Markdown acts; only facts are read as Markdown.
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
"""

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.escaping import URL, escape_markdown
from delivery.kinds.spec import Limit
from delivery.text import json_length, truncate

BODY = Limit(28_000, unit="bytes")  # not confirmed by the vendor
# In bytes. Each line and each URL of a text needs a frame; all of them have a share of the room.
_MAX_TITLE = 800
_MAX_SUMMARY = 2000
_MAX_DESCRIPTION = 5000
_MAX_LINES = 30
_MAX_RUNS = 10
_MAX_NAME = 100
_MAX_VALUE = 300
_MAX_FACTS = 12
_MAX_LINKS = 6
_MAX_URL = 1000
_COLORS = {
    "critical": "Attention",
    "error": "Attention",
    "warning": "Warning",
    "info": "Accent",
    "closed": "Good",
}


def body(alert: AlertText) -> dict:
    """Return a message with one card. Its summary is the text of the notification."""
    title = alert.title_within(_MAX_TITLE, json_length)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": list(filter(None, _blocks(alert, title))),
        "actions": [
            {"type": "Action.OpenUrl", "title": link.name, "url": link.url}
            for link in alert.links_within(_MAX_URL)[:_MAX_LINKS]
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": title, "attachments": [attachment]}


def _blocks(alert: AlertText, title: str) -> list[dict]:
    """Return title, summary, description and facts; empty ones if there are none."""
    run = {"type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium"}
    headline = {"type": "RichTextBlock", "inlines": [{**run, "color": _COLORS[alert.level]}]}
    summary = truncate(alert.summary, _MAX_SUMMARY, json_length)
    description = alert.description_within(_MAX_DESCRIPTION, json_length)
    return [headline, *_lines(summary), *_lines(description), _facts(alert)]


def _lines(text: str) -> list[dict]:
    """Return a block for each line of a text, as clients show no line feeds in a block."""
    lines = text.split("\n", _MAX_LINES) if text else []
    blocks = [_line(line) for line in lines if line]
    return [blocks[0], *({**block, "spacing": "None"} for block in blocks[1:])] if blocks else []


def _line(text: str) -> dict:
    """Return a block of text whose URLs can be followed."""
    runs: list[dict] = []
    for number, part in enumerate(URL.split(text, maxsplit=_MAX_RUNS)):
        run = {"type": "TextRun", "text": part}
        if number % 2:
            run["selectAction"] = {"type": "Action.OpenUrl", "url": part}
        if part:
            runs.append(run)
    return {"type": "RichTextBlock", "inlines": runs}


def _facts(alert: AlertText) -> dict:
    facts, rest = alert.facts_within(_MAX_FACTS)
    if alert.times:
        facts = [*facts, Fact("Started", alert.times.removeprefix("Started "))]
    if rest:
        facts = [*facts, Fact("…", rest)]
    written = [
        {
            "title": truncate(fact.name, _MAX_NAME, json_length, escape_markdown),
            "value": truncate(fact.value, _MAX_VALUE, json_length, escape_markdown),
        }
        for fact in facts
    ]
    return {"type": "FactSet", "facts": written} if written else {}
