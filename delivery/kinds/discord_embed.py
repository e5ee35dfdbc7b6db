"""The message of Discord's webhooks: one embed.

https://discord.com/developers/docs/resources/message#embed-object
"""

from delivery.alerts.alert import rfc3339
from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup
from delivery.content.times import is_plausible
from delivery.escaping import escape_markdown
from delivery.kinds.spec import Limit
from delivery.text import more, truncate, utf16_length, without_empty

TITLE = Limit(256, "title")
DESCRIPTION = Limit(4096, "description")
NAME = Limit(256, "name")
VALUE = Limit(1024, "value")
EMBEDS = Limit(6000, "embeds")
# Of the 6,000 characters: the title, the footer, and how many more facts there are.
_RESERVED = 350
_MAX_CONTENT = 500
_MAX_FACTS = 20
_MAX_VALUE = 300
_MAX_URL = 2048
_SUPPRESS_NOTIFICATIONS = 1 << 12  # a message flag: neither a sound nor a push
_MARKUP = Markup(link="[{0.name}]({0.url})".format, link_separator=" · ")


def body(alert: AlertText) -> dict:
    """Return the text of the notification and an embed, without mentions.

    A resolution notifies nobody.
    """
    links = _MARKUP.write_links(alert.links, lambda written: len(written) <= VALUE.maximum)
    last = [_field("Started", _times(alert), False), _field("Links", links, False)]
    room = EMBEDS.maximum - _RESERVED - sum(map(_length, last))
    summary = truncate(alert.summary, room // 4, escape=escape_markdown)
    fields = _fields(alert, room // 2)
    room = min(room - sum(map(_length, fields)), DESCRIPTION.maximum) - utf16_length(summary) - 2
    description = alert.description_within(room, escape=escape_markdown)
    at = alert.ended_at if alert.closed else alert.event.alert.starts_at
    embed = without_empty(
        title=TITLE.truncate(alert.name, escape_markdown),
        url=alert.link if len(alert.link) <= _MAX_URL else "",
        description=f"{summary}\n\n{description}".strip("\n"),
        color=int(alert.color, 16),
        timestamp=rfc3339(at) if is_plausible(at) else "",
        fields=[field for field in [*fields, *last] if field["value"]],
        footer={"text": "Tocsin"},
    )
    content = alert.title_within(_MAX_CONTENT, utf16_length, escape_markdown)
    message = {"content": content, "allowed_mentions": {"parse": []}, "embeds": [embed]}
    return message | ({"flags": _SUPPRESS_NOTIFICATIONS} if alert.closed else {})


def _fields(alert: AlertText, room: int) -> list[dict]:
    """Return the facts that fit into the room, and how many more there are."""
    facts, _ = alert.facts_within(_MAX_FACTS)
    fields: list[dict] = []
    for fact in facts:
        name = NAME.truncate(fact.name, escape_markdown)
        value = truncate(fact.value, _MAX_VALUE, escape=escape_markdown)
        field = _field(name, value, True)
        room -= _length(field)
        if room < 0:
            break
        fields.append(field)
    hidden = more(len(alert.facts) - len(fields))
    return [*fields, _field("Facts", hidden, True)] if hidden else fields


def _field(name: str, value: str, inline: bool) -> dict:
    return {"name": name, "value": value, "inline": inline}


def _length(field: dict) -> int:
    return utf16_length(field["name"] + field["value"])


def _times(alert: AlertText) -> str:
    """Return the times, in the time zone of the reader."""
    started = alert.event.alert.starts_at
    if not alert.times:
        return ""
    if alert.closed:
        return f"{_time(started, alert.started)}, ended {_time(alert.ended_at, alert.ended)}"
    if is_plausible(started):
        return f"<t:{started // 1000}:f> (<t:{started // 1000}:R>)"
    return alert.times.removeprefix("Started ")


def _time(time: int | None, text: str) -> str:
    return f"<t:{time // 1000}:f>" if is_plausible(time) else text
