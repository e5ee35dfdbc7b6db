"""The card of Feishu and Lark: plain texts and their Markdown, which has entities as escapes.

https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content
"""

from delivery.content.alert_text import COLORS, RESOLVED_COLOR, AlertText
from delivery.content.facts import Fact
from delivery.content.links import links_that_fit
from delivery.content.severity import Severity
from delivery.escaping import escape_lark
from delivery.json_text import dumps
from delivery.kinds.robots import missing_keyword
from delivery.kinds.spec import Limit
from delivery.text import json_length, truncate, utf8_length

BODY = Limit(20_000, unit="bytes")
# In bytes: the description has what these, the keyword, the signature and the frames leave.
_MAX_TITLE = 800
_MAX_SUMMARY = 1500
_MAX_NAME = 80
_MAX_VALUE = 350
_MAX_FACTS = 12
_MAX_LINKS = 5000
_RESERVED = 1000
_TEMPLATES = {
    COLORS[Severity.CRITICAL]: "red",
    COLORS[Severity.ERROR]: "orange",
    COLORS[Severity.WARNING]: "yellow",
    COLORS[Severity.INFO]: "blue",
    RESOLVED_COLOR: "green",
}


def card(alert: AlertText) -> dict:
    """Return the card, without mentions."""
    summary = truncate(alert.summary, _MAX_SUMMARY, json_length, escape_lark)
    room = BODY.maximum - _RESERVED - utf8_length(dumps(_card(alert, summary)))
    description = alert.description_within(room, json_length, escape_lark)
    return _card(alert, f"{summary}\n\n{description}".strip("\n"))


def _card(alert: AlertText, text: str) -> dict:
    title = alert.title_within(_MAX_TITLE, json_length)
    texts = {"tag": "div", "text": _lark(text)} if text else {}
    keyword = _line(missing_keyword(alert, f"{title}\n{text}"))
    elements = [texts, _facts(alert), _note(alert.times), _links(alert), keyword]
    return {
        "config": {"wide_screen_mode": True},
        "header": {"template": _TEMPLATES[alert.color], "title": _plain(title)},
        "elements": list(filter(None, elements)) or [_line(title)],
    }


def _facts(alert: AlertText) -> dict:
    facts, rest = alert.facts_within(_MAX_FACTS)
    if rest:
        facts = [*facts, Fact("…", rest)]
    return {"tag": "div", "fields": list(map(_field, facts))} if facts else {}


def _field(fact: Fact) -> dict:
    name = truncate(fact.name, _MAX_NAME, json_length, escape_lark)
    value = truncate(fact.value, _MAX_VALUE, json_length, escape_lark)
    return {"is_short": True, "text": _lark(f"**{name}**\n{value}")}


def _note(text: str) -> dict:
    return {"tag": "note", "elements": [_plain(text)]} if text else {}


def _line(text: str) -> dict:
    return {"tag": "div", "text": _plain(text)} if text else {}


def _links(alert: AlertText) -> dict:
    buttons = [
        {"tag": "button", "text": _plain(link.name), "url": link.url, "type": "default"}
        for link in links_that_fit(alert.links, _MAX_LINKS)
    ]
    if not buttons:
        return {}
    buttons[0]["type"] = "primary"
    return {"tag": "action", "actions": buttons}


def _lark(text: str) -> dict[str, str]:
    return {"tag": "lark_md", "content": text}


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}
