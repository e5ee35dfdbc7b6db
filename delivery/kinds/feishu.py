"""Feishu's and Lark's custom bots: a card."""

import base64
import hmac

from delivery.answer import by_body, by_code
from delivery.kinds import Event, Kind, Limit, Option, Shape, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut, spelled

BODY = Limit(20_000, "bytes")
_TITLE, _TEXT = 1000, 15_000  # in bytes: a link and the frame leave 1 000 free
_GONE, _WAITS = (19001,), {11232: None}
_NEW, _OLD = by_code("code", "msg", _GONE, _WAITS), by_code("StatusCode", "StatusMessage", _GONE, _WAITS)


def body(settings: Settings, event: Event) -> str:
    """The message, in plain texts, which mention nobody; signed when the bot wants that."""
    words, secret = Words(event.alert), settings.option("secret")
    title, text = cut(words.title, _TITLE, spelled), cut(words.text() or words.title, _TEXT, spelled)
    elements: list[dict] = [{"tag": "div", "text": {"tag": "plain_text", "content": text}}]
    if words.link:
        label = {"tag": "plain_text", "content": "Open alert"}
        elements.append({"tag": "action", "actions": [{"tag": "button", "type": "primary", "text": label, "url": words.link}]})
    header = {"template": "green" if words.closed else "red", "title": {"tag": "plain_text", "content": title}}
    card = {"config": {"wide_screen_mode": True}, "header": header, "elements": elements}
    return dumps({**(_signed(secret, str(event.stamp // 1000)) if secret else {}), "msg_type": "interactive", "card": card})


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
    options=(Option("secret", "Signing secret", "Only when the bot verifies signatures.", secret=True),),
    shapes=(Shape(r"/open-apis/bot/v2/hook/[\w-]+", r"open\.(feishu\.cn|larksuite\.com)"),),
    limits=(BODY,),
    signs_body=True,
    pace=((5, 1), (100, 60)),
    body=body,
    judge=by_body(lambda answer: (_NEW if "code" in answer.said else _OLD)(answer)),
)
