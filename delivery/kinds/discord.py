"""Discord's webhooks: one embed."""

from dataclasses import replace

from delivery.alerts.alert import rfc3339
from delivery.content.alert_text import AlertText
from delivery.escaping import escape_markdown
from delivery.kinds.spec import Kind, Limit, UrlPattern
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
from delivery.text import truncate, utf16_length, without_empty

TITLE = Limit(256, "title")
DESCRIPTION = Limit(4096, "description")
NAME = Limit(256, "name")
VALUE = Limit(1024, "value")
EMBEDS = Limit(6000, "embeds")
_ERROR = ("code", "message", "errors")
_judge_by_id = judge_by_member("id", *_ERROR)
_UNKNOWN_WEBHOOK = 10015


def body(alert: AlertText) -> dict:
    """Return an embed without mentions."""
    title = TITLE.truncate(alert.title, escape_markdown)
    description = DESCRIPTION.truncate(alert.summary, escape_markdown)
    embed = without_empty(
        title=title,
        url=alert.link,
        description=description,
        color=int(alert.color, 16),
        timestamp=rfc3339(alert.event.started_at),
        fields=_fields(alert, EMBEDS.maximum - utf16_length(title + description)),
    )
    return {"content": "", "allowed_mentions": {"parse": []}, "embeds": [embed]}


def _fields(alert: AlertText, room: int) -> list[dict]:
    """Return the labels that fit into the room that title and description leave."""
    fields = []
    for label, text in alert.labels:
        name = NAME.truncate(label, escape_markdown)
        max_length = min(VALUE.maximum, room - utf16_length(name))
        value = truncate(text, max_length, utf16_length, escape_markdown)
        room -= utf16_length(name + value)
        if value:
            fields.append({"name": name, "value": value, "inline": True})
    return fields


def judge(response: Response) -> Judgement:
    """Judge by the message's id, which Discord returns when asked to wait, or by a 204."""
    json = response.json
    if number(json.get("code")) == _UNKNOWN_WEBHOOK:
        return Judgement(Reason.BODY_SAYS_ERROR, error_text(*map(json.get, _ERROR)), Verdict.GONE)
    rule = judge_by_status if response.status == 204 else _judge_by_id
    return replace(rule(response), retry_after=json.get("retry_after"))


KIND = Kind(
    name="discord",
    label="Discord",
    help="Posts an embed to a Discord channel, without mentions.",
    url_help="The webhook URL, from the channel's settings under Integrations.",
    docs="https://discord.com/developers/docs/resources/webhook#execute-webhook",
    query={"wait": "true"},
    url_patterns=(
        UrlPattern(
            r"/api(/v[0-9]+)?/webhooks/[0-9]+/[\w-]+(/slack|/github)?", r"discord(app)?\.com"
        ),
    ),
    limits=(TITLE, DESCRIPTION, NAME, VALUE, EMBEDS),
    rate_limit=((5, 2), (30, 60)),
    body=body,
    judge=judge_by_body(judge),
    url_hints={
        "/(slack|github)$": "This URL expects another format: remove /slack or /github at its end."
    },
)
