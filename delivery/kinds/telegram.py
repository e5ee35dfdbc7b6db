"""Telegram's `sendMessage` of a bot."""

from dataclasses import replace

from delivery.answer import Answer, Judgement, by_body, number, taken, told
from delivery.kinds import Event, Kind, Limit, Option, Shape, below, dumps, segment
from delivery.outcome import Repair
from delivery.retry import classify
from delivery.settings import Settings
from delivery.wording import Words, cut, entities, integer, units

TEXT, _TITLE, _DONE = Limit(4096, "characters", "text"), 500, "/bot[^/]+/sendMessage"
_PATH = r"(?P<base>(/[^/]+)*)/bot(?P<bot_token>[0-9]+:[\w-]+)(/sendMessage)?"
_IDS = {"chat_id": "chat_id", "message_thread_id": "message_thread_id"}


def body(settings: Settings, event: Event) -> str:
    """The message. Ids go as numbers, the name of a channel (`@name`) as text."""
    words = Words(event.alert)
    ids = {name: integer(one) for name in _IDS if (one := settings.option(name))}
    link = f'\n<a href="{entities(words.link)}">Open alert</a>' if words.link else ""
    text = TEXT.fill(f"<b>{cut(words.title, _TITLE, units, entities)}</b>\n", words.text(), link, entities)
    return dumps({**ids, "text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}})


def judge(answer: Answer) -> Judgement:
    """The status is the `error_code`; of a 200 that is none, the body counts."""
    said, code = answer.said, number(answer.said.get("error_code")) or 0
    verdict = "gone" if code == 403 else classify(code) if code >= 400 else None
    judged = taken(answer, said.get("ok") is True, told(said.get("error_code"), said.get("description")), verdict=verdict)
    return replace(judged, retry_after=answer.inner("parameters").get("retry_after"))


def repair(answer: Answer, _settings: Settings) -> Repair | None:
    """A group that became a supergroup has another id."""
    moved = number(answer.inner("parameters").get("migrate_to_chat_id"))
    return None if moved is None else Repair("Use the new chat id", {"options-chat_id": str(moved)})


KIND = Kind(
    name="telegram",
    label="Telegram",
    help="Posts to a chat, group or channel as a bot of yours.",
    url_help="Telegram's own server, or a Bot API server of yours.",
    docs="https://core.telegram.org/bots/api#sendmessage",
    base="https://api.telegram.org",
    options=(
        Option("bot_token", "Bot token", "As BotFather gave it to you.", True, True, r"[0-9]{6,}:[\w-]{30,}"),
        Option("chat_id", "Chat id", "A number, or @name of a public channel.", True, shape=r"-?[0-9]+|@\w{5,}"),
        Option("message_thread_id", "Topic id", "The number of a topic in a forum.", shape="[0-9]+"),
    ),
    shapes=(Shape(_PATH, r"api\.telegram\.org", _IDS), Shape(_PATH, query=_IDS)),
    limits=(TEXT,),
    pace=((1, 1), (20, 60)),
    body=body,
    complete=lambda target, settings, _: below(target, f"/bot{segment(settings.option('bot_token'))}/sendMessage", _DONE),
    judge=by_body(judge, gone=(403,)),
    repair=repair,
)
