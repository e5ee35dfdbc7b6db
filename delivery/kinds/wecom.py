"""WeCom's group robots."""

from delivery.answer import by_body, by_code
from delivery.kinds import Event, Kind, Limit, Shape, dumps
from delivery.settings import Settings
from delivery.wording import Words, apart, cut, octets

CONTENT = Limit(4096, "bytes", "content")
_TITLE = 500


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody."""
    words = Words(event.alert)
    name, colour = cut(words.name, _TITLE, octets, apart), "info" if words.closed else "warning"
    link = f"\n[Open alert]({words.link})" if words.link else ""
    text = CONTENT.fill(f'**{words.state}** <font color="{colour}">{name}</font>\n', words.text(), link, apart)
    return dumps({"msgtype": "markdown", "markdown": {"content": text}})


KIND = Kind(
    name="wecom",
    label="WeCom (WeChat Work)",
    help="Posts to a group chat through its robot.",
    url_help="The webhook's URL with its key, as the group shows it for the robot.",
    docs="https://developer.work.weixin.qq.com/document/path/91770",
    shapes=(Shape("/cgi-bin/webhook/send", r"qyapi\.weixin\.qq\.com"),),
    limits=(CONTENT,),
    pace=((20, 60),),
    body=body,
    judge=by_body(by_code("errcode", "errmsg", gone=(93000,), waits={45009: 60})),
)
