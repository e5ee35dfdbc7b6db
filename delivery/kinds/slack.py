"""Slack's incoming webhooks, and the webhooks of its workflows."""

import re

from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.settings import Settings
from delivery.text import AlertText, escape_html, without_empty

TEXT = Limit(4000, "text")  # 40,000 are accepted, 4,000 recommended; not confirmed
TITLE = Limit(1024, "title")
_WORKFLOW = "/(workflows|triggers)/"
_GONE = ("no_service", "no_team", "channel_not_found", "no_active_hooks", "channel_is_archived")
_TEMPORARY = (
    "ratelimited",
    "rate_limited",
    "rollup_error",
    "internal_error",
    "fatal_error",
    "service_unavailable",
)


def body(settings: Settings, alert: AlertText) -> dict:
    """Return the message, or the variables of a workflow."""
    title = TITLE.truncate(alert.title, escape_html)
    if settings.target and re.search(_WORKFLOW, settings.target.path):
        return {"title": title, "link": alert.link, **_variables(alert)}
    attachment = without_empty(
        color=f"#{alert.color:06x}",
        title=title,
        title_link=alert.link,
        text=TEXT.truncate(alert.details, escape_html),
        fallback=title,
    )
    return {"text": title, "attachments": [attachment]}


def _variables(alert: AlertText) -> dict[str, str]:
    texts = {
        "status": alert.state,
        "summary": alert.summary,
        "severity": alert.severity,
        "labels": alert.label_lines,
    }
    return {name: TEXT.truncate(text, escape_html) for name, text in texts.items()}


def judge(response: Response) -> Judgement:
    """Judge by the text `ok`, or by the member `ok` of a workflow's JSON."""
    text = response.text.strip()
    error = error_text(response.json.get("error")) or text
    accepted = text == "ok" or response.json.get("ok") is True
    return judge_body(response, accepted, error, verdict=_verdict(error))


def _verdict(error: str) -> Verdict | None:
    if error in _GONE:
        return Verdict.GONE
    return Verdict.RETRY if error in _TEMPORARY else None


KIND = Kind(
    name="slack",
    label="Slack",
    help="Posts to a Slack channel through an incoming webhook, or starts a workflow.",
    url_help="The webhook URL of your Slack app, or of a workflow that starts from a webhook.",
    docs="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    url_patterns=(
        UrlPattern(
            r"/services/T\w*/B\w*/\w+|/(workflows|triggers)(/[\w-]+){2,}",
            r"hooks\.slack(-gov)?\.com",
        ),
    ),
    limits=(TEXT, TITLE),
    rate_limit=((1, 1),),
    body=body,
    judge=judge_by_body(judge, gone=(404, 410)),
    url_hints={
        _WORKFLOW: "This URL starts a workflow. The workflow must declare the variables title, "
        "status, summary, link, severity and labels."
    },
)
