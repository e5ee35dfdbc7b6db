"""Mattermost's incoming webhooks."""

import re

from delivery.answer import GONE, Answer, Judgement, by_body, taken, told
from delivery.kinds import Event, Kind, Limit, Shape, dumps
from delivery.settings import Settings
from delivery.wording import Words, cut, markdown, units

TEXT = Limit(16_383, "characters", "text")
_TITLE = 500


def body(_settings: Settings, event: Event) -> str:
    """The message."""
    words = Words(event.alert)
    head, link = f"#### {cut(words.title, _TITLE, units, markdown)}\n", f"\n[Open alert]({words.link})" if words.link else ""
    return dumps({"text": TEXT.fill(head, words.text(), link, markdown)})


def judge(answer: Answer) -> Judgement:
    """`ok` as text; an id that speaks of an invalid webhook means that there is none."""
    code = told(answer.said.get("id"))
    why = told(code, answer.said.get("message")) or answer.text.strip()
    if not answer.good and re.search(r"webhooks?\.invalid\b|invalid\w*webhook|webhook_invalid", code):
        return Judgement("body_says_error", why, GONE)
    return taken(answer, answer.text.strip() == "ok", why)


KIND = Kind(
    name="mattermost",
    label="Mattermost",
    help="Posts to a channel of a Mattermost server, and mentions nobody.",
    url_help="The URL of an incoming webhook, such as https://mattermost.example.com/hooks/….",
    docs="https://developers.mattermost.com/integrate/webhooks/incoming/",
    shapes=(Shape(r"(/[^/]+)*/hooks/[A-Za-z0-9]{26}"),),
    limits=(TEXT,),
    body=body,
    judge=by_body(judge),
)
