"""Classify how an exchange ended: build its `Outcome`, with every text masked."""

from dataclasses import replace
from http import HTTPStatus
from itertools import pairwise

from delivery.guard.exchange import Exchange
from delivery.guard.url import InvalidUrl, parse_url
from delivery.message import Message
from delivery.outcome import (
    PROXY_TEXT,
    REASONS,
    Actor,
    Outcome,
    Reason,
    Stage,
    StageResult,
    SuggestedFix,
    Verdict,
    status_hint,
    status_line,
)
from delivery.redaction import Mask, escape_invisible, mask_for
from delivery.response import Judgement, Response
from delivery.retry import retry_after

MAX_HEADERS = 30
MAX_HEADER_NAME = 100
MAX_EXCERPT = 4000
MAX_DETAIL = 300
# Without TLS, the request is sent next; with TLS, a failed handshake has a stage of its own.
_NEXT_STAGE: dict[Stage, Stage] = dict(pairwise(stage for stage in Stage if stage != Stage.TLS))
_NEXT_STAGE[Stage.TLS] = Stage.SENT


def classify_response(exchange: Exchange, response: Response, message: Message) -> Outcome:
    """Return the outcome of an exchange that got a response.

    Broken framing and redirects are judged here, every other response by the kind.
    """
    judgement = _judge(response, message)
    outcome = _outcome(exchange, judgement, response.status)
    hint = ""
    if not outcome.good and outcome.actor == Actor.RECEIVER:
        hint = message.hint_for(response.status, judgement.detail)
    wait = None
    if outcome.verdict == Verdict.RETRY:
        wait = retry_after(
            response.values("Retry-After"), exchange.started_at, judgement.retry_after
        )
    if judgement.reason == Reason.REDIRECT:
        suggested_fix = _moved_url(response, exchange)
    else:
        suggested_fix = message.suggest_fix(response)
    mask = mask_for(exchange.settings)
    mask_text = mask.mask_truncated if response.incomplete else mask
    text = mask_text(response.text)
    return replace(
        outcome,
        hint=hint or outcome.hint,
        headers=tuple(
            (_masked(name, mask)[:MAX_HEADER_NAME], _masked(value, mask))
            for name, value in response.headers[:MAX_HEADERS]
        ),
        excerpt=escape_invisible(text[:MAX_EXCERPT])[:MAX_EXCERPT],
        excerpt_cut=bool(response.incomplete) or len(text) > MAX_EXCERPT,
        retry_after=wait,
        suggested_fix=suggested_fix,
    )


def classify_failure(exchange: Exchange, reason: Reason, detail: str) -> Outcome:
    """Return the outcome of an exchange that got no response."""
    if exchange.stages:
        last = exchange.stages[-1]
        if last.ok and last.name in _NEXT_STAGE:
            exchange.record_stage(_NEXT_STAGE[last.name], "not reached", ok=False)
    return _outcome(exchange, Judgement(reason, detail))


def _judge(response: Response, message: Message) -> Judgement:
    if response.invalid and response.incomplete:
        return Judgement(response.incomplete)
    if response.status in (301, 302, 303, 307, 308):
        return Judgement(Reason.REDIRECT, response.value("Location") or "an empty address")
    return message.judge(response)


def _outcome(exchange: Exchange, judgement: Judgement, status: int | None = None) -> Outcome:
    """End the last stage, and return the outcome with its sentences."""
    reason_text = REASONS[judgement.reason]
    verdict = judgement.verdict or reason_text.verdict
    exchange.record_stage(Stage.VERDICT, verdict, verdict in (Verdict.DELIVERED, Verdict.ACCEPTED))
    if judgement.actor == Actor.PROXY:
        reason_text = PROXY_TEXT
    mask = mask_for(exchange.settings)
    detail = _masked(judgement.detail, mask)
    answer = ""
    hint = reason_text.hint
    if verdict == Verdict.GONE:
        hint = status_hint(HTTPStatus.GONE)
    if status:
        answer = status_line(status)
        if judgement.reason == Reason.HTTP_STATUS:
            hint = hint or status_hint(status)
            if detail:
                answer += f" ({detail})"
    context = {
        "receiver": exchange.target.authority,
        "answer": answer,
        "detail": detail,
        "seconds": exchange.settings.timeout,
    }
    return Outcome(
        verdict=verdict,
        reason=judgement.reason,
        actor=judgement.actor or reason_text.actor,
        says=reason_text.says.format(**context),
        hint=hint.format(**context),
        receiver=exchange.target.authority,
        milliseconds=sum(stage.milliseconds for stage in exchange.stages),
        status=status,
        stages=tuple(_masked_stage(stage, mask) for stage in exchange.stages),
    )


def _masked_stage(stage: StageResult, mask: Mask) -> StageResult:
    detail = _masked(stage.detail, mask)
    if detail != stage.detail:
        return replace(stage, detail=detail)
    return stage


def _masked(text: str, mask: Mask) -> str:
    """Return a text, which may be the receiver's own, masked and truncated."""
    return escape_invisible(mask(text))[:MAX_DETAIL]


def _moved_url(response: Response, exchange: Exchange) -> SuggestedFix | None:
    """Suggest the address of a redirect as the channel's URL.

    Where the redirect changes the origin only, the path and query of the channel stay.
    """
    try:
        location = parse_url(response.value("Location"))
        configured = parse_url(exchange.settings.url)
    except InvalidUrl:
        return None
    sent_to = exchange.target
    if (location.path, location.query) == (sent_to.path, sent_to.query):
        location = replace(location, path=configured.path, query=configured.query)
    return SuggestedFix("Use this URL", {"url": location.url})
