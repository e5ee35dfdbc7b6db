"""Telegram's `sendMessage` of a bot."""

from dataclasses import replace

from delivery.content.alert_text import AlertText
from delivery.escaping import escape_html
from delivery.guard.url import ParsedUrl
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import segment, with_path
from delivery.outcome import SuggestedFix, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body, number
from delivery.retry import verdict_of_status
from delivery.settings import Settings
from delivery.text import truncate, utf16_length

TEXT = Limit(4096, "text")
_MAX_TITLE = 500
_PATH = r"(?P<base>(/[^/]+)*)/bot(?P<bot_token>[0-9]+:[\w-]+)(/sendMessage)?"
_IDS = {"chat_id": "chat_id", "message_thread_id": "message_thread_id"}


def body(alert: AlertText) -> dict:
    """Return an HTML message. IDs are numbers, the name of a channel (`@name`) is text."""
    ids: dict[str, object] = {}
    for name in _IDS:
        text = alert.settings.option(name)
        if text.removeprefix("-").isdecimal() and len(text) < 19:
            ids[name] = int(text)
        elif text:
            ids[name] = text
    title = truncate(alert.title, _MAX_TITLE, utf16_length, escape_html)
    link = f'<a href="{escape_html(alert.link)}">Open alert</a>' if alert.link else ""
    return {
        **ids,
        "text": TEXT.fit(f"<b>{title}</b>", alert.details, link, escape_html),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }


def complete_url(url: ParsedUrl, alert: AlertText) -> ParsedUrl:
    """Append the bot's path unless the URL already ends with a bot's path."""
    token = segment(alert.settings.option("bot_token"))
    return with_path(url, f"/bot{token}/sendMessage", "/bot[^/]+/sendMessage")


def judge(response: Response) -> Judgement:
    """Judge by the member `ok`, and a failure by its `error_code`."""
    json = response.json
    detail = error_text(json.get("error_code"), json.get("description"))
    code = number(json.get("error_code")) or 0
    verdict = None
    if code == 403:
        verdict = Verdict.GONE
    elif code >= 400:
        verdict = verdict_of_status(code)
    judgement = judge_body(response, json.get("ok") is True, detail, verdict=verdict)
    return replace(judgement, retry_after=response.json_object("parameters").get("retry_after"))


def suggest_fix(response: Response, _settings: Settings) -> SuggestedFix | None:
    """Return the new chat ID of a group that became a supergroup."""
    chat_id = number(response.json_object("parameters").get("migrate_to_chat_id"))
    if chat_id is None:
        return None
    return SuggestedFix("Use the new chat ID", {"options-chat_id": str(chat_id)})


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
