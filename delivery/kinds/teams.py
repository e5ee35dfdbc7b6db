"""Microsoft Teams: an adaptive card for a webhook of Workflows (and for the retired connectors)."""

import re

from delivery.answer import RETRY, Answer, Judgement, by_body, taken
from delivery.kinds import Event, Kind, Limit, Shape, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut, markdown, spelled

BODY = Limit(28_000, "bytes")  # (?)
_TITLE, _TEXT, _NAME, _VALUE = 1000, 9000, 100, 400  # in bytes: twice the title, twenty facts and a link leave 3 000 free
_RETIRED = r"(.+\.webhook|outlook)\.office(365)?\.com"
_REPLACE = "Microsoft has retired these URLs: make a flow in Workflows that starts from a webhook, and use its URL."


def body(_settings: Settings, event: Event) -> str:
    """The message."""
    words = Words(event.alert)
    title, text = cut(words.title, _TITLE, spelled, markdown), cut(words.summary, _TEXT, spelled, markdown)
    pairs = [(cut(name, _NAME, spelled, markdown), cut(value, _VALUE, spelled, markdown)) for name, value in words.facts]
    facts = [{"title": name, "value": value} for name, value in pairs]
    look = {"weight": "Bolder", "size": "Medium", "color": "Good" if words.closed else "Attention", "wrap": True}
    shown: list[dict] = [{"type": "TextBlock", "text": title, **look}]
    shown += [{"type": "TextBlock", "text": text, "wrap": True}] if text else []
    shown += [{"type": "FactSet", "facts": facts}] if facts else []
    link = [{"type": "Action.OpenUrl", "title": "Open alert", "url": words.link}] if words.link else []
    schema = "http://adaptivecards.io/schemas/adaptive-card.json"
    card = {"$schema": schema, "type": "AdaptiveCard", "version": "1.2", "fallbackText": title, "body": shown, "actions": link}
    kind = "application/vnd.microsoft.card.adaptive"
    return dumps({"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]})


def judge(answer: Answer) -> Judgement:
    """A workflow only queues. A connector says exactly `1`, or with a 200 what has failed behind it."""
    text = answer.text.strip()
    if re.search("webhook message delivery failed", text, re.I):
        return taken(answer, False, text, verdict=RETRY if re.search(r"\b(429|5\d\d)\b", text) else None)
    connector = re.fullmatch(_RETIRED, answer.host)
    return taken(answer, text == "1" or not connector, text, "ok" if text == "1" else "accepted")


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    help="Gives an adaptive card to a workflow, which posts it to a chat or channel.",
    url_help="The URL that Workflows shows for a flow that starts from a webhook request.",
    docs="https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
    shapes=(
        Shape(r"(/[^/]+)*/workflows/[^/]+/triggers/manual/paths/invoke", r".+\.(logic\.azure|api\.powerplatform)\.com"),
        Shape(r"/webhook(b2)?/.+", _RETIRED),
    ),
    limits=(BODY,),
    body=body,
    judge=by_body(judge),
    warn=lambda target: _REPLACE if re.fullmatch(_RETIRED, target.host) else "",
)
