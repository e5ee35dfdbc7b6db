"""Telegram's `sendMessage` of a bot."""

from dataclasses import replace

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, Option, UrlPattern
from delivery.kinds.urls import segment, with_path
from delivery.outcome import SuggestedFix
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body, number
from delivery.retry import classify
from delivery.settings import Settings
from delivery.text import AlertText, escape_html, integer, truncate, utf16_length

TEXT, _TITLE, _DONE = Limit(4096, "characters", "text"), 500, "/bot[^/]+/sendMessage"
_PATH = r"(?P<base>(/[^/]+)*)/bot(?P<bot_token>[0-9]+:[\w-]+)(/sendMessage)?"
_IDS = {"chat_id": "chat_id", "message_thread_id": "message_thread_id"}


def body(settings: Settings, event: Event) -> str:
    """The message. Ids go as numbers, the name of a channel (`@name`) as text."""
    words = AlertText(event.alert)
    ids = {name: integer(one) for name in _IDS if (one := settings.option(name))}
    link = f'\n<a href="{escape_html(words.link)}">Open alert</a>' if words.link else ""
    text = TEXT.fill(
        f"<b>{truncate(words.title, _TITLE, utf16_length, escape_html)}</b>\n",
        words.text(),
        link,
        escape_html,
    )
    return dumps(
        {**ids, "text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    )


def judge(response: Response) -> Judgement:
    """The status is the `error_code`; of a 200 that is none, the body counts."""
    json, code = response.json, number(response.json.get("error_code")) or 0
    verdict = "gone" if code == 403 else classify(code) if code >= 400 else None
    judged = judge_body(
        response,
        json.get("ok") is True,
        error_text(json.get("error_code"), json.get("description")),
        verdict=verdict,
    )
    return replace(judged, retry_after=response.json_object("parameters").get("retry_after"))


def suggest_fix(response: Response, _settings: Settings) -> SuggestedFix | None:
    """A group that became a supergroup has another id."""
    moved = number(response.json_object("parameters").get("migrate_to_chat_id"))
    return (
        None
        if moved is None
        else SuggestedFix("Use the new chat id", {"options-chat_id": str(moved)})
    )


KIND = Kind(
    name="telegram",
    label="Telegram",
    help="Posts to a chat, group or channel as a bot of yours.",
    url_help="Telegram's own server, or a Bot API server of yours.",
    docs="https://core.telegram.org/bots/api#sendmessage",
    base="https://api.telegram.org",
    options=(
        Option(
            "bot_token",
            "Bot token",
            "As BotFather gave it to you.",
            True,
            True,
            r"[0-9]{6,}:[\w-]{30,}",
        ),
        Option(
            "chat_id",
            "Chat id",
            "A number, or @name of a public channel.",
            True,
            shape=r"-?[0-9]+|@\w{5,}",
        ),
        Option(
            "message_thread_id", "Topic id", "The number of a topic in a forum.", shape="[0-9]+"
        ),
    ),
    url_patterns=(UrlPattern(_PATH, r"api\.telegram\.org", _IDS), UrlPattern(_PATH, query=_IDS)),
    limits=(TEXT,),
    rate_limit=((1, 1), (20, 60)),
    body=body,
    complete_url=lambda target, settings, _: with_path(
        target, f"/bot{segment(settings.option('bot_token'))}/sendMessage", _DONE
    ),
    judge=judge_by_body(judge, gone=(403,)),
    suggest_fix=suggest_fix,
)
