"""Discord's webhooks: one embed."""

from dataclasses import replace

from delivery.alert import rfc3339
from delivery.answer import GONE, Answer, Judgement, by_body, by_status, gives, number, told
from delivery.kinds import Event, Kind, Limit, Shape, asking, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut, filled, markdown, units

TITLE, TEXT = Limit(256, "characters", "title"), Limit(4096, "characters", "description")
NAME, VALUE, ALL = Limit(256, "characters", "name"), Limit(1024, "characters", "value"), Limit(6000, "characters", "embeds")
_WHY = ("code", "message", "errors")
_GIVEN = gives("id", *_WHY)
_MODES = ("/slack", "/github")


def body(_settings: Settings, event: Event) -> str:
    """The message, which mentions nobody. Facts get what room the description leaves."""
    words, fields = Words(event.alert), []
    title, text = TITLE.cut(words.title, markdown), TEXT.cut(words.summary, markdown)
    room = ALL.most - units(title + text)
    for label, fact in words.facts:
        name = NAME.cut(label, markdown)
        value = cut(fact, min(VALUE.most, room - units(name)), units, markdown)
        room -= units(name + value)
        fields += [{"name": name, "value": value, "inline": True}] if value else []
    when = rfc3339(event.at if event.alert.starts_at is None else event.alert.starts_at)
    embed = filled(title=title, url=words.link, description=text, color=words.colour, timestamp=when, fields=fields)
    return dumps({"content": "", "allowed_mentions": {"parse": []}, "embeds": [embed]})


def judge(answer: Answer) -> Judgement:
    """Asked to wait, Discord gives the message back, with its id; when not, a 204."""
    said = answer.said
    if number(said.get("code")) == 10015:
        return Judgement("body_says_error", told(*map(said.get, _WHY)), GONE)
    judged = by_status(answer) if answer.status == 204 else _GIVEN(answer)
    return replace(judged, retry_after=said.get("retry_after"))


KIND = Kind(
    name="discord",
    label="Discord",
    help="Posts an embed to a channel of a Discord server, and mentions nobody.",
    url_help="The webhook's URL, from the channel's settings under Integrations.",
    docs="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    shapes=(Shape(r"/api(/v[0-9]+)?/webhooks/[0-9]+/[\w-]+(/slack|/github)?", r"discord(app)?\.com"),),
    limits=(TITLE, TEXT, NAME, VALUE, ALL),
    pace=((5, 2), (30, 60)),
    body=body,
    complete=lambda target, _settings, _event: asking(target, wait="true"),
    judge=by_body(judge),
    warn=lambda target: "Discord expects other messages there: remove the URL's end." if target.path.endswith(_MODES) else "",
)
