"""The meaning of Telegram's responses."""

from dataclasses import replace

from delivery.outcome import SuggestedFix, Verdict
from delivery.response import Judgement, Response, error_text, judge_body, number
from delivery.retry import verdict_of_status
from delivery.settings import Settings


def judge(response: Response) -> Judgement:
    """Judge by the member `ok`, and a failure by its `error_code`."""
    json = response.json
    detail = error_text(json.get("error_code"), json.get("description"))
    code = number(json.get("error_code")) or 0
    verdict = None
    if code == 403:
        verdict = Verdict.GONE
    elif code >= 400:
        verdict = verdict_of_status(code)
    judgement = judge_body(response, json.get("ok") is True, detail, verdict=verdict)
    return replace(judgement, retry_after=response.json_object("parameters").get("retry_after"))


def suggest_fix(response: Response, _settings: Settings) -> SuggestedFix | None:
    """Return the new chat ID of a group that became a supergroup."""
    chat_id = number(response.json_object("parameters").get("migrate_to_chat_id"))
    if chat_id is None:
        return None
    return SuggestedFix("Use the new chat ID", {"options-chat_id": str(chat_id)})
