"""Telegram's `sendMessage` of a bot."""

from delivery.content.alert_text import AlertText
from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, Option, UrlPattern
from delivery.kinds.telegram_message import IDS, SILENT, TEXT, body
from delivery.kinds.telegram_responses import judge, suggest_fix
from delivery.kinds.time_zone import TIME_ZONE
from delivery.kinds.urls import segment, with_path
from delivery.response import judge_by_body

_PATH = r"(?P<base>(/[^/]+)*)/bot(?P<bot_token>[0-9]+:[\w-]+)(/sendMessage)?"


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
        SILENT,
        TIME_ZONE,
    ),
    url_patterns=(UrlPattern(_PATH, r"api\.telegram\.org", IDS), UrlPattern(_PATH, query=IDS)),
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
