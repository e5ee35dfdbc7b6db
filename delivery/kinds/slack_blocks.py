"""The message of Slack's incoming webhooks: a header, and an attachment of blocks in a color.

https://docs.slack.dev/reference/block-kit/blocks
"""

from delivery.content.alert_text import AlertText
from delivery.content.links import Link
from delivery.content.times import is_plausible
from delivery.escaping import break_group_mentions, escape_html
from delivery.kinds.spec import Limit
from delivery.text import truncate, utf16_length

HEADER = Limit(150, "header")
SECTION = Limit(3000, "section")
_MAX_SUMMARY = 1500
_MAX_PUSH_TITLE = 500
_MAX_NAME = 200
_MAX_VALUE = 1000
_MAX_FIELDS = 10
_MAX_URL = 3000


def message(alert: AlertText, max_text: int) -> dict:
    """Return the message. Its text of at most `max_text` characters is that of a notification."""
    title = alert.title_within(_MAX_PUSH_TITLE, utf16_length, escape)
    summary = truncate(alert.summary, max_text - utf16_length(title) - 1, escape=escape)
    blocks = [_section(alert), _fields(alert), _times(alert), _links(alert)]
    attachment = {
        "color": f"#{alert.color}",
        "fallback": title,
        "blocks": list(filter(None, blocks)),
    }
    return {
        "text": f"{title}\n{summary}".strip(),
        "blocks": [{"type": "header", "text": _plain(alert.title_within(HEADER.maximum))}],
        "attachments": [attachment] if attachment["blocks"] else [],
    }


def escape(text: str) -> str:
    """Escape what Slack reads as markup, and disarm `@channel` and the like."""
    return escape_html(break_group_mentions(text))


def _plain(text: str) -> dict:
    return {"type": "plain_text", "text": text, "emoji": False}


def _markup(text: str) -> dict:
    return {"type": "mrkdwn", "text": text}


def _section(alert: AlertText) -> dict:
    summary = truncate(alert.summary, _MAX_SUMMARY, escape=escape)
    room = SECTION.maximum - utf16_length(summary) - 1
    text = f"{summary}\n{alert.description_within(room, escape=escape)}".strip("\n")
    return {"type": "section", "text": _markup(text)} if text else {}


def _fields(alert: AlertText) -> dict:
    maximum = _MAX_FIELDS
    if len(alert.facts) > maximum:
        maximum -= 1  # for how many more there are
    facts, rest = alert.facts_within(maximum)
    fields = [
        f"*{truncate(fact.name, _MAX_NAME, escape=escape)}*\n"
        f"{truncate(fact.value, _MAX_VALUE, escape=escape)}"
        for fact in facts
    ]
    written = list(map(_markup, filter(None, [*fields, rest])))
    return {"type": "section", "fields": written} if written else {}


def _times(alert: AlertText) -> dict:
    """Return the times, in the time zone of the reader."""
    if not alert.times:
        return {}
    times = f"Started {_time(alert.event.alert.starts_at, alert.started)}"
    if alert.closed:
        times += f", ended {_time(alert.ended_at, alert.ended)}"
    elif alert.duration:
        times += f" ({alert.duration} ago)"
    return {"type": "context", "elements": [_markup(times)]}


def _time(time: int | None, text: str) -> str:
    if not is_plausible(time):
        return text
    return f"<!date^{time // 1000}^{{date_short_pretty}} {{time}}|{text}>"


def _links(alert: AlertText) -> dict:
    buttons = list(map(_button, alert.links_within(_MAX_URL)))
    return {"type": "actions", "elements": buttons} if buttons else {}


def _button(link: Link) -> dict:
    return {
        "type": "button",
        "text": _plain(link.name),
        "url": link.url,
        "action_id": link.name.lower().replace(" ", "_"),
    }
