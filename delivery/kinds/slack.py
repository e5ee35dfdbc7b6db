"""Slack's incoming webhooks, and the webhooks of its workflows."""

import re

from delivery.content.alert_text import AlertText
from delivery.content.links import OPEN_IN_TOCSIN, RUNBOOK
from delivery.kinds.slack_blocks import HEADER, SECTION, escape, message
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, judge_by_body

TEXT = Limit(4000, "text")  # 40,000 are accepted, 4,000 recommended; not confirmed
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
    target = alert.settings.target
    if target and re.search(_WORKFLOW, target.path):
        return _variables(alert)
    return message(alert, TEXT.maximum)


def _variables(alert: AlertText) -> dict[str, str]:
    """Return the variables of a workflow, which are all texts; empty ones are there too."""
    links = {link.name: link.url for link in alert.all_links}
    lines = "\n".join(f"{fact.name}: {fact.value}" for fact in alert.all_facts)
    texts = {
        "title": alert.title,
        "name": alert.name,
        "status": alert.state,
        "severity": alert.severity,
        "subject": alert.subject,
        "summary": alert.reported_summary,
        "description": alert.reported_description,
        "labels": lines,
        "started": alert.started,
        "duration": alert.duration,
    }
    variables = {name: TEXT.truncate(text, escape) for name, text in texts.items()}
    urls = {"link": alert.link, "runbook": links.get(RUNBOOK, "")}
    return variables | urls | {"tocsin": links.get(OPEN_IN_TOCSIN, "")}


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
    help="Posts to a Slack channel through an incoming webhook, or starts a workflow. Slack shows "
    "a warning sign beside a clicked button unless interactivity is on in your Slack app; the link "
    "opens anyway.",
    url_help="The webhook URL of your Slack app, or of a workflow that starts from a webhook.",
    docs="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    url_patterns=(
        UrlPattern(
            r"/services/T\w*/B\w*/\w+|/(workflows|triggers)(/[\w-]+){2,}",
            r"hooks\.slack(-gov)?\.com",
        ),
    ),
    options=(TIME_ZONE,),
    limits=(TEXT, HEADER, SECTION),
    rate_limit=((1, 1),),
    body=body,
    judge=judge_by_body(judge, gone=(404, 410)),
    hints={
        "invalid_token|action_prohibited|^40[13] ": "Slack does not allow this webhook: create a "
        "new one, with the consent of an administrator, and enter it in the field “URL”.",
    },
    url_hints={
        _WORKFLOW: "This URL starts a workflow. The workflow must declare the variables title, "
        "status, summary, link, severity and labels; it may declare name, subject, description, "
        "started, duration, runbook and tocsin too."
    },
)
