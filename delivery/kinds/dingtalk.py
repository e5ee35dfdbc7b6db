"""DingTalk's group robots."""

import base64
import hmac

from delivery.answer import by_body, by_code
from delivery.kinds import Event, Kind, Limit, Option, Shape, asking, dumps
from delivery.settings import Settings
from delivery.target import Target
from delivery.wording import Words, cut, markdown, spelled

BODY = Limit(20_000, "bytes")  # (?)
_TITLE, _TEXT = 1000, 14_500  # in bytes: twice the title, a link and the frame leave 1 000 free


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody."""
    words = Words(event.alert)
    title = cut(words.title, _TITLE, spelled, markdown)
    text = cut(words.text(), _TEXT, spelled, lambda part: markdown(part).replace("\n", "\n\n"))
    link = f"[Open alert]({words.link})" if words.link else ""
    shown = "\n\n".join(part for part in (f"#### {title}", text, link) if part)
    return dumps({"msgtype": "markdown", "markdown": {"title": title, "text": shown}, "at": {"isAtAll": False}})


def complete(target: Target, settings: Settings, event: Event) -> Target:
    """The query is signed when the robot wants that: the key is the secret, the message time and secret (not as Feishu's)."""
    secret, stamp = settings.option("secret").encode("utf-8", "replace"), str(event.stamp)
    sign = base64.b64encode(hmac.digest(secret, f"{stamp}\n".encode() + secret, "sha256")).decode()
    return asking(target, timestamp=stamp, sign=sign) if secret else target


KIND = Kind(
    name="dingtalk",
    label="DingTalk",
    help="Posts to a group through its custom robot.",
    url_help="The webhook's URL with its access_token, as the robot's settings show it.",
    docs="https://open.dingtalk.com/document/orgapp/custom-robot-access",
    options=(Option("secret", "Signing secret", "Only when the robot verifies signatures.", secret=True, shape=r"SEC\w+"),),
    shapes=(Shape("/robot/send", r"oapi\.dingtalk\.com"),),
    limits=(BODY,),
    pace=((20, 60),),
    body=body,
    complete=complete,
    judge=by_body(by_code("errcode", "errmsg", gone=(300001,), waits={130101: 600})),
)
