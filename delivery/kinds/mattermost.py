"""Mattermost's incoming webhooks."""

import re

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.settings import Settings
from delivery.text import AlertText, escape_markdown, truncate, utf16_length

TEXT = Limit(16_383, "characters", "text")
_TITLE = 500


def body(_settings: Settings, event: Event) -> str:
    """The message."""
    words = AlertText(event.alert)
    head, link = (
        f"#### {truncate(words.title, _TITLE, utf16_length, escape_markdown)}\n",
        f"\n[Open alert]({words.link})" if words.link else "",
    )
    return dumps({"text": TEXT.fill(head, words.text(), link, escape_markdown)})


def judge(response: Response) -> Judgement:
    """`ok` as text; an id that speaks of an invalid webhook means that there is none."""
    code = error_text(response.json.get("id"))
    why = error_text(code, response.json.get("message")) or response.text.strip()
    if not response.good and re.search(
        r"webhooks?\.invalid\b|invalid\w*webhook|webhook_invalid", code
    ):
        return Judgement(Reason.BODY_SAYS_ERROR, why, Verdict.GONE)
    return judge_body(response, response.text.strip() == "ok", why)


KIND = Kind(
    name="mattermost",
    label="Mattermost",
    help="Posts to a channel of a Mattermost server, and mentions nobody.",
    url_help="The URL of an incoming webhook, such as https://mattermost.example.com/hooks/….",
    docs="https://developers.mattermost.com/integrate/webhooks/incoming/",
    url_patterns=(UrlPattern(r"(/[^/]+)*/hooks/[A-Za-z0-9]{26}"),),
    limits=(TEXT,),
    body=body,
    judge=judge_by_body(judge),
)
