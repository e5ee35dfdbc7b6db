"""Mattermost's incoming webhooks."""

import re

from delivery.content.alert_text import AlertText
from delivery.escaping import escape_markdown
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.text import truncate, utf16_length

TEXT = Limit(16_383, "text")
_MAX_TITLE = 500
_INVALID_WEBHOOK = re.compile(r"webhooks?\.invalid\b|invalid\w*webhook|webhook_invalid")


def body(alert: AlertText) -> dict:
    """Return a Markdown message."""
    title = truncate(alert.title, _MAX_TITLE, utf16_length, escape_markdown)
    return {"text": TEXT.fit(f"#### {title}", alert.details, alert.markdown_link, escape_markdown)}


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
    limits=(TEXT,),
    body=body,
    judge=judge_by_body(judge),
)
