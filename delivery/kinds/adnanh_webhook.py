"""The program github.com/adnanh/webhook, which refuses a message with 200 by default."""

from delivery.outcome import Reason
from delivery.response import Judgement, Response, judge_by_status

_REFUSAL = "Hook rules were not satisfied"  # as in its webhook.go, with a full stop
HINTS = {
    f"^2.. {_REFUSAL}": "Its trigger-rule refuses the message: compare the rule with the signing "
    "secret of this channel and with what the channel sends."
}


def judge(response: Response) -> Judgement:
    """Judge by the status, unless the body is the refusal of this program."""
    if response.good and response.text.strip() == f"{_REFUSAL}.":
        return Judgement(Reason.BODY_SAYS_ERROR, _REFUSAL)
    return judge_by_status(response)
