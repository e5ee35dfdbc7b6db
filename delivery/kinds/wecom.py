"""WeCom's group robots."""

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.escaping import break_markdown, break_markdown_inside
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import judge_by_body, judge_by_code
from delivery.text import utf8_length

CONTENT = Limit(4096, "content", "bytes")
_MAX_TITLE = 500
# The three colors that its clients know: green, gray and orange.
_COLORS = {"closed": "info", "info": "comment"}
_MARKUP = Markup(
    escape=break_markdown,
    escape_value=break_markdown_inside,
    fact="> {}: {}".format,
    more="> {}".format,
    times='<font color="comment">{}</font>'.format,
    link="[{0.name}]({0.url})".format,
    link_separator=" · ",
)


def body(alert: AlertText) -> dict:
    """Return a Markdown message without mentions."""
    title = alert.title_within(_MAX_TITLE, utf8_length, break_markdown_inside)
    words = alert.status_words
    color = _COLORS.get(alert.level, "warning")
    headline = f'**<font color="{color}">{words}</font>**{title.removeprefix(words)}'
    content = lay_out(alert, _MARKUP, CONTENT.maximum, utf8_length, headline, alert.links)
    return {"msgtype": "markdown", "markdown": {"content": content}}


KIND = Kind(
    name="wecom",
    label="WeCom (WeChat Work)",
    help="Posts to a group chat through its robot.",
    url_help="The robot's webhook URL with its key, from the group chat.",
    docs="https://developer.work.weixin.qq.com/document/path/91770",
    url_patterns=(UrlPattern("/cgi-bin/webhook/send", r"qyapi\.weixin\.qq\.com", needs=("key",)),),
    options=(TIME_ZONE,),
    limits=(CONTENT,),
    rate_limit=((20, 60),),
    body=body,
    judge=judge_by_body(judge_by_code("errcode", "errmsg", gone=(93000,), waits={45009: 60})),
)
