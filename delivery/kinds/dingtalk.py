"""DingTalk's group robots."""

import base64
import hmac
import re

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.escaping import break_markdown, break_markdown_inside
from delivery.guard.url import ParsedUrl
from delivery.kinds.robots import (
    ADDRESS_HINT,
    KEYWORD,
    KEYWORD_HINT,
    SIGNATURE_HINT,
    missing_keyword,
)
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.kinds.urls import with_query
from delivery.response import judge_by_body, judge_by_code
from delivery.text import json_length

BODY = Limit(20_000, unit="bytes")  # not confirmed by the vendor
# In bytes: the title stands there twice, and the keyword and the frame have the rest.
_MAX_TITLE = 1000
_MAX_TEXT = 16_000


def _escape(text: str) -> str:
    """Return the text without markup of its own and without blank lines: all lines get one."""
    return break_markdown(re.sub(r"\n\s*\n", "\n", text))


_MARKUP = Markup(
    escape=_escape,
    escape_value=break_markdown_inside,
    fact="- {}: {}".format,
    more="- {}".format,
    link="[{0.name}]({0.url})".format,
    line="\n\n",
    link_separator=" · ",
)


def body(alert: AlertText) -> dict:
    """Return a Markdown message without mentions. Its title is the text of the notification."""
    title = alert.title_within(_MAX_TITLE, json_length)
    text = _text(alert)
    keyword = missing_keyword(alert, title + text)
    return {
        "msgtype": "markdown",
        "markdown": {"title": title, "text": f"{text}\n\n{keyword}".rstrip("\n")},
        "at": {"isAtAll": False},
    }


def _text(alert: AlertText) -> str:
    headline = alert.title_within(_MAX_TITLE, json_length, break_markdown_inside)
    words = alert.status_words
    colored = f'<font color="#{alert.color}">{words}</font>{headline.removeprefix(words)}'
    return lay_out(alert, _MARKUP, _MAX_TEXT, json_length, f"#### {colored}", alert.links)


def complete_url(url: ParsedUrl, alert: AlertText) -> ParsedUrl:
    """Sign the query: the key is the secret, the message is time and secret (unlike Feishu)."""
    secret = alert.settings.option("secret").encode("utf-8", "replace")
    if not secret:
        return url
    time = str(alert.event.timestamp)
    digest = hmac.digest(secret, f"{time}\n".encode() + secret, "sha256")
    return with_query(url, {"timestamp": time, "sign": base64.b64encode(digest).decode()})


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
        TIME_ZONE,
    ),
    url_patterns=(UrlPattern("/robot/send", r"oapi\.dingtalk\.com", needs=("access_token",)),),
    limits=(BODY,),
    rate_limit=((20, 60),),
    body=body,
    complete_url=complete_url,
    signs_url=True,
    hints={
        "310000.*(keyword|关键词)": KEYWORD_HINT,
        "310000.*(sign|签名)": SIGNATURE_HINT,
        r"310000.*\bip\b": ADDRESS_HINT,
        "310000": "A rule of the robot refuses the message: check the fields “Keyword” and "
        "“Signing secret”, and the addresses that the robot allows.",
    },
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(300001,), waits={130101: 600})),
)
