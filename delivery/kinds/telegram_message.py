"""The message of a Telegram bot: HTML.

https://core.telegram.org/bots/api#html-style
"""

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.content.severity import Severity
from delivery.escaping import escape_html
from delivery.kinds.spec import Limit, Option
from delivery.settings import Settings
from delivery.text import utf16_length

TEXT = Limit(4096, "text")
_MAX_TITLE = 500
IDS = {"chat_id": "chat_id", "message_thread_id": "message_thread_id"}
_BELOW_CRITICAL = "below_critical"
SILENT = Option(
    "silent",
    "Sound",
    "A resolution never makes a sound.",
    choices=(
        ("", "Every open alert makes a sound"),
        (_BELOW_CRITICAL, "Only critical alerts make a sound"),
    ),
)
_MARKUP = Markup(
    escape=escape_html,
    link=lambda link: f'<a href="{escape_html(link.url)}">{link.name}</a>',
    link_separator=" · ",
)


def body(alert: AlertText) -> dict:
    """Return an HTML message; a resolution makes no sound."""
    title = alert.title_within(_MAX_TITLE, utf16_length, escape_html)
    text = lay_out(alert, _MARKUP, TEXT.maximum, title=f"<b>{title}</b>", links=alert.links)
    return {
        **_ids(alert.settings),
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": _is_silent(alert),
    }


def _is_silent(alert: AlertText) -> bool:
    only_critical = SILENT.choice_of(alert.settings) == _BELOW_CRITICAL
    return alert.closed or (only_critical and alert.named_severity != Severity.CRITICAL)


def _ids(settings: Settings) -> dict[str, object]:
    """Return the ids as numbers; the name of a channel (`@name`) is text."""
    ids: dict[str, object] = {}
    for name in IDS:
        text = settings.option(name)
        if text.removeprefix("-").isdecimal() and len(text) < 19:
            ids[name] = int(text)
        elif text:
            ids[name] = text
    return ids
