"""Slack's incoming webhooks, and the webhooks of its workflows."""

import re

from delivery.content.alert_text import AlertText
from delivery.escaping import escape_html
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body
from delivery.text import without_empty

TEXT = Limit(4000, "text")  # 40,000 are accepted, 4,000 recommended; not confirmed
TITLE = Limit(1024, "title")
_WORKFLOW = "/(workflows|triggers)/"
_VERDICTS = {
    "no_service": Verdict.GONE,
    "no_team": Verdict.GONE,
    "channel_not_found": Verdict.GONE,
    "no_active_hooks": Verdict.GONE,
    "channel_is_archived": Verdict.GONE,
    "ratelimited": Verdict.RETRY,
    "rate_limited": Verdict.RETRY,
    "rollup_error": Verdict.RETRY,
    "internal_error": Verdict.RETRY,
    "fatal_error": Verdict.RETRY,
    "service_unavailable": Verdict.RETRY,
}


def body(alert: AlertText) -> dict:
    """Return the message, or the variables of a workflow."""
    title = TITLE.truncate(alert.title, escape_html)
    target = alert.settings.target
    if target and re.search(_WORKFLOW, target.path):
        return {
            "title": title,
            "link": alert.link,
            "status": alert.state,
            "summary": TEXT.truncate(alert.summary, escape_html),
            "severity": alert.severity,
            "labels": TEXT.truncate(alert.label_lines, escape_html),
        }
    attachment = without_empty(
        color=f"#{alert.color}",
        title=title,
        title_link=alert.link,
        text=TEXT.truncate(alert.details, escape_html),
        fallback=title,
    )
    return {"text": title, "attachments": [attachment]}


def judge(response: Response) -> Judgement:
    """Judge by the text `ok`, or by the member `ok` of a workflow's JSON.

    A workflow that only starts may answer with an empty body; Rocket.Chat has a member `success`.
    """
    text = response.text.strip()
    if response.good and not text and re.search(_WORKFLOW, response.path):
        return Judgement(Reason.ACCEPTED)
    error = error_text(response.json.get("error")) or text
    accepted = text == "ok" or any(response.json.get(name) is True for name in ("ok", "success"))
    return judge_body(response, accepted, error, verdict=_VERDICTS.get(error))


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
    hints={
        "invalid_token|action_prohibited|^40[13] ": "Slack does not allow this webhook: create a "
        "new one, with the consent of an administrator, and enter it in the field “URL”.",
    },
    url_hints={
        _WORKFLOW: "This URL starts a workflow. The workflow must declare the variables title, "
        "status, summary, link, severity and labels."
    },
)
