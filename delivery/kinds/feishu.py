"""Feishu's and Lark's custom bots: a card."""

import base64
import hmac

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.escaping import escape_lark
from delivery.kinds.robots import (
    ADDRESS_HINT,
    KEYWORD,
    KEYWORD_HINT,
    SIGNATURE_HINT,
    missing_keyword,
)
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import Judgement, Response, judge_by_body, judge_by_code
from delivery.text import json_length, truncate

BODY = Limit(20_000, unit="bytes")
# In bytes: title, texts, facts and links together leave 4,000 for the frames.
_MAX_TITLE = 800
_MAX_SUMMARY = 1500
_MAX_DESCRIPTION = 4000
_MAX_NAME = 80
_MAX_VALUE = 350
_MAX_FACTS = 12
_MAX_URL = 600
_TEMPLATES = {
    "critical": "red",
    "error": "orange",
    "warning": "yellow",
    "info": "blue",
    "closed": "green",
}
_GONE = (19001,)
_WAITS = {11232: None}
_judge_by_code = judge_by_code("code", "msg", _GONE, _WAITS)
_judge_by_status_code = judge_by_code("StatusCode", "StatusMessage", _GONE, _WAITS)


def body(alert: AlertText) -> dict:
    """Return a card without mentions; signed if there is a secret."""
    title = alert.title_within(_MAX_TITLE, json_length)
    elements = [_texts(alert), _facts(alert), _note(alert.times), _links(alert)]
    keyword = missing_keyword(alert, title + alert.summary[:_MAX_SUMMARY])
    card = {
        "config": {"wide_screen_mode": True},
        "header": {"template": _TEMPLATES[alert.level], "title": _plain(title)},
        "elements": list(filter(None, [*elements, _note(keyword)])) or [_note(title)],
    }
    return {**_signature(alert), "msg_type": "interactive", "card": card}


def _texts(alert: AlertText) -> dict:
    summary = truncate(alert.summary, _MAX_SUMMARY, json_length, escape_lark)
    description = alert.description_within(_MAX_DESCRIPTION, json_length, escape_lark)
    text = f"{summary}\n{description}".strip("\n")
    return {"tag": "div", "text": _lark(text)} if text else {}


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


def _links(alert: AlertText) -> dict:
    buttons = [
        {"tag": "button", "text": _plain(link.name), "url": link.url, "type": "default"}
        for link in alert.links_within(_MAX_URL)
    ]
    if not buttons:
        return {}
    buttons[0]["type"] = "primary"
    return {"tag": "action", "actions": buttons}


def _lark(text: str) -> dict[str, str]:
    return {"tag": "lark_md", "content": text}


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}


def judge(response: Response) -> Judgement:
    """Judge by the code; old versions call it `StatusCode`."""
    if "code" in response.json:
        return _judge_by_code(response)
    return _judge_by_status_code(response)


def _signature(alert: AlertText) -> dict[str, str]:
    """Sign an empty message: the key is time and secret (unlike DingTalk)."""
    secret = alert.settings.option("secret")
    if not secret:
        return {}
    seconds = str(alert.event.timestamp // 1000)
    digest = hmac.digest(f"{seconds}\n{secret}".encode("utf-8", "replace"), b"", "sha256")
    return {"timestamp": seconds, "sign": base64.b64encode(digest).decode()}


KIND = Kind(
    name="feishu",
    label="Feishu / Lark",
    help="Posts a card to a group through its custom bot.",
    url_help="The bot's webhook URL, from the group's settings.",
    docs="https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
    options=(
        Option("secret", "Signing secret", "Only if the bot verifies signatures.", secret=True),
        KEYWORD,
        TIME_ZONE,
    ),
    url_patterns=(
        UrlPattern(r"/open-apis/bot/v2/hook/[\w-]+", r"open\.(feishu\.cn|larksuite\.com)"),
    ),
    limits=(BODY,),
    signs_body=True,
    rate_limit=((5, 1), (100, 60)),
    body=body,
    judge=judge_by_body(judge),
    hints={
        "19021": SIGNATURE_HINT,
        "19022": ADDRESS_HINT,
        "19024": KEYWORD_HINT,
    },
)
