"""Discord's webhooks: one embed."""

from dataclasses import replace

from delivery.kinds.discord_embed import DESCRIPTION, EMBEDS, NAME, TITLE, VALUE, body
from delivery.kinds.spec import Kind, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
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

_ERROR = ("code", "message", "errors")
_judge_by_id = judge_by_member("id", *_ERROR)
_UNKNOWN_WEBHOOK = 10015


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
    options=(TIME_ZONE,),
    limits=(TITLE, DESCRIPTION, NAME, VALUE, EMBEDS),
    rate_limit=((5, 2), (30, 60)),
    body=body,
    judge=judge_by_body(judge),
    url_hints={
        "/(slack|github)$": "This URL expects another format: remove /slack or /github at its end."
    },
)
