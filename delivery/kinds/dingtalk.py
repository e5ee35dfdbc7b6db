"""DingTalk's group robots."""

import base64
import hmac

from delivery.content.alert_text import AlertText
from delivery.escaping import escape_markdown
from delivery.guard.url import ParsedUrl
from delivery.kinds.robots import (
    ADDRESS_HINT,
    KEYWORD,
    KEYWORD_HINT,
    SIGNATURE_HINT,
    missing_keyword,
)
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import with_query
from delivery.response import judge_by_body, judge_by_code
from delivery.text import json_length, truncate

BODY = Limit(20_000, unit="bytes")  # not confirmed by the vendor
# In bytes: twice the title, a link and the frame leave 1,000 free.
_MAX_TITLE = 1000
_MAX_TEXT = 14_500


def body(alert: AlertText) -> dict:
    """Return a Markdown message without mentions."""
    title = truncate(alert.title, _MAX_TITLE, json_length, escape_markdown)
    text = truncate(alert.details, _MAX_TEXT, json_length, _escape)
    paragraphs = [f"#### {title}", text, alert.markdown_link]
    paragraphs.append(missing_keyword(alert, "\n\n".join(paragraphs)))
    return {
        "msgtype": "markdown",
        "markdown": {"title": title, "text": "\n\n".join(filter(None, paragraphs))},
        "at": {"isAtAll": False},
    }


def complete_url(url: ParsedUrl, alert: AlertText) -> ParsedUrl:
    """Sign the query: the key is the secret, the message is time and secret (unlike Feishu)."""
    secret = alert.settings.option("secret").encode("utf-8", "replace")
    if not secret:
        return url
    time = str(alert.event.timestamp)
    digest = hmac.digest(secret, f"{time}\n".encode() + secret, "sha256")
    return with_query(url, {"timestamp": time, "sign": base64.b64encode(digest).decode()})


def _escape(text: str) -> str:
    """Escape Markdown, whose line breaks are empty lines."""
    return escape_markdown(text).replace("\n", "\n\n")


KIND = Kind(
    name="dingtalk",
    label="DingTalk",
    help="Posts to a DingTalk group through its custom robot.",
    url_help="The robot's webhook URL with its access_token, from the robot's settings.",
    docs="https://open.dingtalk.com/document/orgapp/custom-robot-access",
    options=(
        Option(
            "secret",
            "Signing secret",
            "Only if the robot verifies signatures.",
            secret=True,
            pattern=r"SEC\w+",
        ),
        KEYWORD,
    ),
    url_patterns=(UrlPattern("/robot/send", r"oapi\.dingtalk\.com", needs=("access_token",)),),
    limits=(BODY,),
    rate_limit=((20, 60),),
    body=body,
    complete_url=complete_url,
    hints={
        "310000.*(keyword|关键词)": KEYWORD_HINT,
        "310000.*(sign|签名)": SIGNATURE_HINT,
        r"310000.*\bip\b": ADDRESS_HINT,
        "310000": "A rule of the robot refuses the message: check the fields “Keyword” and "
        "“Signing secret”, and the addresses that the robot allows.",
    },
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(300001,), waits={130101: 600})),
)
