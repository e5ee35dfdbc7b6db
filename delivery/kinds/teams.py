"""Microsoft Teams: an Adaptive Card for Workflows (and for the retired connectors)."""

import re

from delivery.kinds.spec import Kind, UrlPattern
from delivery.kinds.teams_card import BODY, body
from delivery.kinds.time_zone import TIME_ZONE
from delivery.outcome import Reason, Verdict
from delivery.response import Judgement, Response, judge_body, judge_by_body

_CONNECTOR = r"([^/]+\.webhook|outlook)\.office(365)?\.com"


def judge(response: Response) -> Judgement:
    """Accept what a workflow queues.

    A connector responds with exactly `1`, or with a 200 that names the error behind it.
    """
    text = response.text.strip()
    if re.search("webhook message delivery failed", text, re.I):
        temporary = re.search(r"\b(429|5\d\d)\b", text)
        return judge_body(response, False, text, verdict=Verdict.RETRY if temporary else None)
    if text == "1":
        return judge_body(response, True, text)
    accepted = not re.fullmatch(_CONNECTOR, response.host)
    return judge_body(response, accepted, text, Reason.ACCEPTED)


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    help="Sends an Adaptive Card to a workflow, which posts it to a chat or channel.",
    url_help="The URL of a flow in Workflows that starts from a webhook request.",
    docs=(
        "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/"
        "add-incoming-webhook"
    ),
    url_patterns=(
        UrlPattern(
            r"(/[^/]+)*/workflows/[^/]+/triggers/manual/paths/invoke",
            r".+\.(logic\.azure|api\.powerplatform)\.com",
            needs=("sig",),
        ),
        UrlPattern(r"/webhook(b2)?/.+", _CONNECTOR),
    ),
    options=(TIME_ZONE,),
    limits=(BODY,),
    body=body,
    judge=judge_by_body(judge),
    url_hints={
        f"^{_CONNECTOR}/": "Microsoft has retired this kind of URL. Create a flow in "
        "Workflows that starts from a webhook, and use its URL."
    },
)
