"""Discord's webhooks: one embed."""

from dataclasses import replace

from delivery.alerts.alert import rfc3339
from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.urls import with_query
from delivery.outcome import Reason, Verdict
from delivery.response import (
    Judgement,
    Response,
    error_text,
    judge_by_body,
    judge_by_member,
    judge_by_status,
    number,
)
from delivery.settings import Settings
from delivery.text import AlertText, escape_markdown, truncate, utf16_length, without_empty

TITLE, TEXT = Limit(256, "characters", "title"), Limit(4096, "characters", "description")
NAME, VALUE, ALL = (
    Limit(256, "characters", "name"),
    Limit(1024, "characters", "value"),
    Limit(6000, "characters", "embeds"),
)
_WHY = ("code", "message", "errors")
_GIVEN = judge_by_member("id", *_WHY)
_MODES = ("/slack", "/github")


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody. Facts get what room the description leaves."""
    words, fields = AlertText(event.alert), []
    title, text = (
        TITLE.truncate(words.title, escape_markdown),
        TEXT.truncate(words.summary, escape_markdown),
    )
    room = ALL.most - utf16_length(title + text)
    for label, fact in words.facts:
        name = NAME.truncate(label, escape_markdown)
        value = truncate(
            fact, min(VALUE.most, room - utf16_length(name)), utf16_length, escape_markdown
        )
        room -= utf16_length(name + value)
        fields += [{"name": name, "value": value, "inline": True}] if value else []
    when = rfc3339(event.at if event.alert.starts_at is None else event.alert.starts_at)
    embed = without_empty(
        title=title,
        url=words.link,
        description=text,
        color=words.color,
        timestamp=when,
        fields=fields,
    )
    return dumps({"content": "", "allowed_mentions": {"parse": []}, "embeds": [embed]})


def judge(response: Response) -> Judgement:
    """Asked to wait, Discord gives the message back, with its id; when not, a 204."""
    json = response.json
    if number(json.get("code")) == 10015:
        return Judgement(Reason.BODY_SAYS_ERROR, error_text(*map(json.get, _WHY)), Verdict.GONE)
    judged = judge_by_status(response) if response.status == 204 else _GIVEN(response)
    return replace(judged, retry_after=json.get("retry_after"))


KIND = Kind(
    name="discord",
    label="Discord",
    help="Posts an embed to a channel of a Discord server, and mentions nobody.",
    url_help="The webhook's URL, from the channel's settings under Integrations.",
    docs="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    url_patterns=(
        UrlPattern(
            r"/api(/v[0-9]+)?/webhooks/[0-9]+/[\w-]+(/slack|/github)?", r"discord(app)?\.com"
        ),
    ),
    limits=(TITLE, TEXT, NAME, VALUE, ALL),
    rate_limit=((5, 2), (30, 60)),
    body=body,
    complete_url=lambda target, _settings, _event: with_query(target, wait="true"),
    judge=judge_by_body(judge),
    warn=lambda target: (
        "Discord expects other messages there: remove the URL's end."
        if target.path.endswith(_MODES)
        else ""
    ),
)
