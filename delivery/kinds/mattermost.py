"""Mattermost's incoming webhooks."""

import re

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.content.links import links_that_fit
from delivery.escaping import break_mentions, escape_mattermost
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.text import truncate, utf16_length, without_empty

TEXT = Limit(16_383, "text")
# The attachment keeps within the limit of the text too: the description has what these leave.
_MAX_TITLE = 500
_MAX_SUMMARY = 2000
_MAX_LINKS = 5000
_MAX_FACTS = 12
_MAX_NAME = 100
_MAX_VALUE = 300
_LINK = "[{0.name}]({0.url})".format
_INVALID_WEBHOOK = re.compile(r"webhooks?\.invalid\b|invalid\w*webhook|webhook_invalid")


def body(alert: AlertText) -> dict:
    """Return a headline, and an attachment in the color of the alert."""
    title = alert.title_within(_MAX_TITLE, utf16_length, _escape)
    fields = _fields(alert)
    parts = without_empty(
        text=_text(alert, TEXT.maximum - sum(map(_length, fields))),
        fields=fields,
        footer=alert.times,
    )
    fallback = alert.title_within(_MAX_TITLE)
    attachment = {"fallback": fallback, "color": f"#{alert.color}", **parts}
    return {"text": f"#### {title}", "attachments": [attachment] if parts else []}


def _text(alert: AlertText, room: int) -> str:
    """Return summary, description and links, cut to fit."""
    summary = truncate(alert.summary, _MAX_SUMMARY, escape=_escape)
    links = " · ".join(map(_LINK, links_that_fit(alert.links, _MAX_LINKS)))
    room -= utf16_length(f"{summary}\n\n\n\n{links}")
    description = alert.description_within(room, escape=_escape)
    return "\n\n".join(filter(None, [summary, description, links]))


def _fields(alert: AlertText) -> list[dict]:
    facts, rest = alert.facts_within(_MAX_FACTS)
    if rest:
        facts = [*facts, Fact("…", rest)]
    return [
        {
            "title": truncate(fact.name, _MAX_NAME),
            "value": truncate(fact.value, _MAX_VALUE, escape=_escape),
            "short": True,
        }
        for fact in facts
    ]


def _length(field: dict) -> int:
    return utf16_length(field["title"] + field["value"])


def _escape(text: str) -> str:
    return break_mentions(escape_mattermost(text))


def judge(response: Response) -> Judgement:
    """Judge by the text `ok`; an error id about an invalid webhook means that it is gone.

    Rocket.Chat, which accepts the same message, has a member `success`.
    """
    text = response.text.strip()
    code = error_text(response.json.get("id"))
    detail = error_text(code, response.json.get("message") or response.json.get("error")) or text
    if not response.good and _INVALID_WEBHOOK.search(code):
        return Judgement(Reason.BODY_SAYS_ERROR, detail, Verdict.GONE)
    return judge_body(response, text == "ok" or response.json.get("success") is True, detail)


KIND = Kind(
    name="mattermost",
    label="Mattermost",
    help="Posts to a Mattermost channel, without mentions.",
    url_help="The URL of an incoming webhook, such as https://mattermost.example.com/hooks/….",
    docs="https://developers.mattermost.com/integrate/webhooks/incoming/",
    url_patterns=(UrlPattern(r"(/[^/]+)*/hooks/[A-Za-z0-9]{26}"),),
    options=(TIME_ZONE,),
    limits=(TEXT,),
    body=body,
    judge=judge_by_body(judge),
)
