"""Telegram's `sendMessage` of a bot."""

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.escaping import escape_html
from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.telegram_responses import judge, suggest_fix
from delivery.kinds.time_zone import TIME_ZONE
from delivery.kinds.urls import segment, with_path
from delivery.response import judge_by_body
from delivery.settings import Settings
from delivery.text import utf16_length

TEXT = Limit(4096, "text")
_MAX_TITLE = 500
_PATH = r"(?P<base>(/[^/]+)*)/bot(?P<bot_token>[0-9]+:[\w-]+)(/sendMessage)?"
ONLY_CRITICAL = "critical"
SOUND = Option(
    "sound",
    "Sound",
    "A resolution never makes a sound.",
    choices=(
        ("", "Every open alert makes a sound"),
        (ONLY_CRITICAL, "Only critical alerts make a sound"),
    ),
)
_MARKUP = Markup(
    escape=escape_html,
    link=lambda link: f'<a href="{escape_html(link.url)}">{link.name}</a>',
    link_separator=" · ",
)
_IDS = {"chat_id": "chat_id", "message_thread_id": "message_thread_id"}


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
    is_quiet = alert.settings.option(SOUND.name) == ONLY_CRITICAL
    return alert.closed or (is_quiet and alert.named_severity != "critical")


def _ids(settings: Settings) -> dict[str, object]:
    """Return the ids as numbers; the name of a channel (`@name`) is text."""
    ids: dict[str, object] = {}
    for name in _IDS:
        text = settings.option(name)
        if text.removeprefix("-").isdecimal() and len(text) < 19:
            ids[name] = int(text)
        elif text:
            ids[name] = text
    return ids


def complete_url(url: ParsedUrl, alert: AlertText) -> ParsedUrl:
    """Append the bot's path unless the URL already ends with a bot's path."""
    token = segment(alert.settings.option("bot_token"))
    return with_path(url, f"/bot{token}/sendMessage", "/bot[^/]+/sendMessage")


KIND = Kind(
    name="telegram",
    label="Telegram",
    help="Posts to a chat, group or channel as your bot.",
    url_help="Telegram's Bot API server, or your own.",
    docs="https://core.telegram.org/bots/api#sendmessage",
    base="https://api.telegram.org",
    options=(
        Option(
            "bot_token",
            "Bot token",
            "The token from BotFather.",
            required=True,
            secret=True,
            pattern=r"[0-9]{6,}:[\w-]{30,}",
        ),
        Option(
            "chat_id",
            "Chat ID",
            "A number, or the @name of a public channel.",
            required=True,
            pattern=r"-?[0-9]+|@\w{5,}",
        ),
        Option("message_thread_id", "Topic ID", "The number of a forum topic.", pattern="[0-9]+"),
        SOUND,
        TIME_ZONE,
    ),
    url_patterns=(UrlPattern(_PATH, r"api\.telegram\.org", _IDS), UrlPattern(_PATH, query=_IDS)),
    limits=(TEXT,),
    rate_limit=((1, 1), (20, 60)),
    hints={
        "^40[14] ": "Telegram does not know this bot: check the field “Bot token”, and the field "
        "“URL” if the server is your own.",
        "thread|topic": "Telegram does not know this topic: check the field “Topic ID”.",
        "chat|peer|^403 ": "The bot cannot write to this chat: check the field “Chat ID”, and add "
        "the bot to the chat.",
    },
    body=body,
    complete_url=complete_url,
    judge=judge_by_body(judge, gone=(403,)),
    suggest_fix=suggest_fix,
)
