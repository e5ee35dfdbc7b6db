"""Feishu's and Lark's custom bots: a card."""

import base64
import hmac

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.response import judge_by_body, judge_by_code
from delivery.settings import Settings
from delivery.text import AlertText, json_length, truncate

BODY = Limit(20_000, "bytes")
_TITLE, _TEXT = 1000, 15_000  # in bytes: a link and the frame leave 1 000 free
_GONE, _WAITS = (19001,), {11232: None}
_NEW, _OLD = (
    judge_by_code("code", "msg", _GONE, _WAITS),
    judge_by_code("StatusCode", "StatusMessage", _GONE, _WAITS),
)


def body(settings: Settings, event: Event) -> str:
    """The message, in plain texts, which mention nobody; signed when the bot wants that."""
    words, secret = AlertText(event.alert), settings.option("secret")
    title, text = (
        truncate(words.title, _TITLE, json_length),
        truncate(words.text() or words.title, _TEXT, json_length),
    )
    elements: list[dict] = [{"tag": "div", "text": {"tag": "plain_text", "content": text}}]
    if words.link:
        label = {"tag": "plain_text", "content": "Open alert"}
        elements.append(
            {
                "tag": "action",
                "actions": [{"tag": "button", "type": "primary", "text": label, "url": words.link}],
            }
        )
    header = {
        "template": "green" if words.closed else "red",
        "title": {"tag": "plain_text", "content": title},
    }
    card = {"config": {"wide_screen_mode": True}, "header": header, "elements": elements}
    return dumps(
        {
            **(_signed(secret, str(event.stamp // 1000)) if secret else {}),
            "msg_type": "interactive",
            "card": card,
        }
    )


def _signed(secret: str, seconds: str) -> dict[str, str]:
    """The key is time and secret, the message empty (DingTalk's is the other way round)."""
    digest = hmac.digest(f"{seconds}\n{secret}".encode("utf-8", "replace"), b"", "sha256")
    return {"timestamp": seconds, "sign": base64.b64encode(digest).decode()}


KIND = Kind(
    name="feishu",
    label="Feishu / Lark",
    help="Posts a card to a group through its custom bot.",
    url_help="The webhook's URL, as the group's settings show it for the bot.",
    docs="https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
    options=(
        Option("secret", "Signing secret", "Only when the bot verifies signatures.", secret=True),
    ),
    url_patterns=(
        UrlPattern(r"/open-apis/bot/v2/hook/[\w-]+", r"open\.(feishu\.cn|larksuite\.com)"),
    ),
    limits=(BODY,),
    signs_body=True,
    rate_limit=((5, 1), (100, 60)),
    body=body,
    judge=judge_by_body(lambda response: (_NEW if "code" in response.json else _OLD)(response)),
)
