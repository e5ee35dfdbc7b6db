"""DingTalk's group robots."""

import base64
import hmac

from delivery.event import Event
from delivery.guard.url import ParsedUrl
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import with_query
from delivery.response import judge_by_body, judge_by_code
from delivery.settings import Settings
from delivery.text import AlertText, escape_markdown, json_length, truncate

BODY = Limit(20_000, "bytes")  # (?)
_TITLE, _TEXT = 1000, 14_500  # in bytes: twice the title, a link and the frame leave 1 000 free


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody."""
    words = AlertText(event.alert)
    title = truncate(words.title, _TITLE, json_length, escape_markdown)
    text = truncate(
        words.text(), _TEXT, json_length, lambda part: escape_markdown(part).replace("\n", "\n\n")
    )
    link = f"[Open alert]({words.link})" if words.link else ""
    shown = "\n\n".join(part for part in (f"#### {title}", text, link) if part)
    return dumps(
        {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": shown},
            "at": {"isAtAll": False},
        }
    )


def complete_url(target: ParsedUrl, settings: Settings, event: Event) -> ParsedUrl:
    """The query is signed when the robot wants that: the key is the secret, the message time and secret (not as Feishu's)."""
    secret, stamp = settings.option("secret").encode("utf-8", "replace"), str(event.stamp)
    sign = base64.b64encode(hmac.digest(secret, f"{stamp}\n".encode() + secret, "sha256")).decode()
    return with_query(target, timestamp=stamp, sign=sign) if secret else target


KIND = Kind(
    name="dingtalk",
    label="DingTalk",
    help="Posts to a group through its custom robot.",
    url_help="The webhook's URL with its access_token, as the robot's settings show it.",
    docs="https://open.dingtalk.com/document/orgapp/custom-robot-access",
    options=(
        Option(
            "secret",
            "Signing secret",
            "Only when the robot verifies signatures.",
            secret=True,
            shape=r"SEC\w+",
        ),
    ),
    url_patterns=(UrlPattern("/robot/send", r"oapi\.dingtalk\.com"),),
    limits=(BODY,),
    rate_limit=((20, 60),),
    body=body,
    complete_url=complete_url,
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(300001,), waits={130101: 600})),
)
