"""The message of a Teams workflow: an Adaptive Card.

Texts of the alert stand in text runs, where no Markdown acts; only facts are read as Markdown.
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
"""

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.escaping import escape_markdown
from delivery.json_text import dumps
from delivery.kinds.spec import Limit
from delivery.kinds.teams_text import lines_of
from delivery.text import json_length, truncate, utf8_length

BODY = Limit(28_000, unit="bytes")  # not confirmed by the vendor
# In bytes. All of them leave room for the description, however many frames they need.
_MAX_TITLE = 800
_MAX_SUMMARY = 2000
_MAX_NAME = 100
_MAX_VALUE = 300
_MAX_URL = 1000
_MAX_FACTS = 12
_MAX_LINKS = 6
_COLORS = {
    "critical": "Attention",
    "error": "Attention",
    "warning": "Warning",
    "info": "Accent",
    "closed": "Good",
}


def body(alert: AlertText) -> dict:
    """Return a message with one card. Its summary is the text of the notification.

    The description gets the room that the rest leaves, with a frame for each line and each URL.
    """
    room = BODY.maximum
    while True:
        description = alert.description_within(room, json_length)
        message = _message(alert, description)
        excess = utf8_length(dumps(message)) - BODY.maximum
        if excess <= 0 or not description:
            return message
        room = min(room, json_length(description)) - excess


def _message(alert: AlertText, description: str) -> dict:
    title = alert.title_within(_MAX_TITLE, json_length)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": [*_texts(alert, title, description), *_facts(alert)],
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


def _texts(alert: AlertText, title: str, description: str) -> list[dict]:
    run = {"type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium"}
    headline = {"type": "RichTextBlock", "inlines": [{**run, "color": _COLORS[alert.level]}]}
    summary = truncate(alert.summary, _MAX_SUMMARY, json_length)
    return [headline, *lines_of(summary), *lines_of(description)]


def _facts(alert: AlertText) -> list[dict]:
    """Return the table of facts, none if there are no facts."""
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
    return [{"type": "FactSet", "facts": written}] if written else []
