"""Feishu's and Lark's custom bots: a card."""

import base64
import hmac

from delivery.content.alert_text import AlertText
from delivery.kinds.feishu_card import BODY, card
from delivery.kinds.robots import (
    ADDRESS_HINT,
    KEYWORD,
    KEYWORD_HINT,
    SIGNATURE_HINT,
)
from delivery.kinds.spec import Kind, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import Judgement, Response, judge_by_body, judge_by_code

_GONE = (19001,)
_WAITS = {11232: None}
_judge_by_code = judge_by_code("code", "msg", _GONE, _WAITS)
_judge_by_status_code = judge_by_code("StatusCode", "StatusMessage", _GONE, _WAITS)


def body(alert: AlertText) -> dict:
    """Return a card without mentions; signed if there is a secret."""
    return {**_signature(alert), "msg_type": "interactive", "card": card(alert)}


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
