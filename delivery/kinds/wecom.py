"""WeCom's group robots."""

from delivery.content.alert_text import AlertText
from delivery.escaping import break_mentions
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.response import judge_by_body, judge_by_code
from delivery.text import truncate, utf8_length

CONTENT = Limit(4096, "content", "bytes")
_MAX_NAME = 500


def body(alert: AlertText) -> dict:
    """Return a Markdown message without mentions."""
    name = truncate(alert.name, _MAX_NAME, utf8_length, break_mentions)
    color = "info" if alert.closed else "warning"
    title = f'**{alert.state}** <font color="{color}">{name}</font>'
    content = CONTENT.fit(title, alert.details, alert.markdown_link, break_mentions)
    return {"msgtype": "markdown", "markdown": {"content": content}}


KIND = Kind(
    name="wecom",
    label="WeCom (WeChat Work)",
    help="Posts to a group chat through its robot.",
    url_help="The robot's webhook URL with its key, from the group chat.",
    docs="https://developer.work.weixin.qq.com/document/path/91770",
    url_patterns=(UrlPattern("/cgi-bin/webhook/send", r"qyapi\.weixin\.qq\.com", needs=("key",)),),
    limits=(CONTENT,),
    rate_limit=((20, 60),),
    body=body,
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(93000,), waits={45009: 60})),
)
