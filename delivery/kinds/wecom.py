"""WeCom's group robots."""

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.response import judge_by_body, judge_by_code
from delivery.settings import Settings
from delivery.text import AlertText, break_mentions, truncate, utf8_length

CONTENT = Limit(4096, "bytes", "content")
_TITLE = 500


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody."""
    words = AlertText(event.alert)
    name, color = (
        truncate(words.name, _TITLE, utf8_length, break_mentions),
        "info" if words.closed else "warning",
    )
    link = f"\n[Open alert]({words.link})" if words.link else ""
    text = CONTENT.fill(
        f'**{words.state}** <font color="{color}">{name}</font>\n',
        words.text(),
        link,
        break_mentions,
    )
    return dumps({"msgtype": "markdown", "markdown": {"content": text}})


KIND = Kind(
    name="wecom",
    label="WeCom (WeChat Work)",
    help="Posts to a group chat through its robot.",
    url_help="The webhook's URL with its key, as the group shows it for the robot.",
    docs="https://developer.work.weixin.qq.com/document/path/91770",
    url_patterns=(UrlPattern("/cgi-bin/webhook/send", r"qyapi\.weixin\.qq\.com"),),
    limits=(CONTENT,),
    rate_limit=((20, 60),),
    body=body,
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(93000,), waits={45009: 60})),
)
