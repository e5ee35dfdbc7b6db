"""Classify how an exchange ended: build its `Outcome`, with every text masked."""

from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from delivery.guard.exchange import Exchange
from delivery.guard.url import InvalidUrl, parse_url
from delivery.message import Message
from delivery.outcome import (
    GOOD_VERDICTS,
    PROXY_TEXT,
    REASONS,
    Actor,
    Outcome,
    Reason,
    ReasonText,
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
_MAX_SHORT = 100  # characters of a text that is masked once
# Without TLS, the request is sent next; with TLS, a failed handshake has a stage of its own.
_NEXT_STAGE: dict[Stage, Stage] = dict(pairwise(stage for stage in Stage if stage != Stage.TLS))
_NEXT_STAGE[Stage.TLS] = Stage.SENT


def classify_response(exchange: Exchange, response: Response, message: Message) -> Outcome:
    """Return the outcome of an exchange that got a response.

    Broken framing and redirects are judged here, every other response by the kind.
    """
    judgement = _judge(response, message)
    verdict = _end(exchange, judgement)
    hint = ""
    if verdict not in GOOD_VERDICTS and _actor_of(judgement) == Actor.RECEIVER:
        hint = message.hint_for(response.status, judgement.detail)
    wait = None
    if verdict == Verdict.RETRY:
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
    return _outcome(
        exchange,
        judgement,
        verdict,
        response.status,
        hint,
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
    judgement = Judgement(reason, detail)
    return _outcome(exchange, judgement, _end(exchange, judgement))


def _judge(response: Response, message: Message) -> Judgement:
    if response.invalid and response.incomplete:
        return Judgement(response.incomplete)
    if response.status in (301, 302, 303, 307, 308):
        return Judgement(Reason.REDIRECT, response.value("Location") or "an empty address")
    return message.judge(response)


def _end(exchange: Exchange, judgement: Judgement) -> Verdict:
    """End the last stage with the verdict, and return it."""
    verdict = judgement.verdict or REASONS[judgement.reason].verdict
    exchange.record_stage(Stage.VERDICT, verdict, verdict in GOOD_VERDICTS)
    return verdict


def _actor_of(judgement: Judgement) -> Actor:
    return judgement.actor or REASONS[judgement.reason].actor


def _outcome(
    exchange: Exchange,
    judgement: Judgement,
    verdict: Verdict,
    status: int | None = None,
    kind_hint: str = "",
    **received: Any,
) -> Outcome:
    """Return the outcome with its sentences, and with what was `received`.

    The hint of the kind replaces that of the reason.
    """
    mask = mask_for(exchange.settings)
    receiver = exchange.target.authority
    says, hint = _sentences(
        PROXY_TEXT if judgement.actor == Actor.PROXY else REASONS[judgement.reason],
        judgement.reason,
        verdict,
        status,
        receiver=receiver,
        detail=_masked(judgement.detail, mask),
        seconds=exchange.settings.timeout,
    )
    return Outcome(
        verdict=verdict,
        reason=judgement.reason,
        actor=_actor_of(judgement),
        says=says,
        hint=kind_hint or hint,
        receiver=receiver,
        milliseconds=sum(stage.milliseconds for stage in exchange.stages),
        status=status,
        stages=tuple(_masked_stage(stage, mask) for stage in exchange.stages),
        **received,
    )


def _sentences(
    text: ReasonText, reason: Reason, verdict: Verdict, status: int | None, **context: Any
) -> tuple[str, str]:
    """Return what an outcome says, and its hint."""
    answer = ""
    hint = text.hint
    if verdict == Verdict.GONE:
        hint = status_hint(HTTPStatus.GONE)
    if status:
        answer = status_line(status)
        if reason == Reason.HTTP_STATUS:
            hint = hint or status_hint(status)
            if context["detail"]:
                answer += f" ({context['detail']})"
    return text.says.format(answer=answer, **context), hint.format(answer=answer, **context)


def _masked_stage(stage: StageResult, mask: Mask) -> StageResult:
    detail = _masked(stage.detail, mask)
    if detail != stage.detail:
        return replace(stage, detail=detail)
    return stage


def _masked(text: str, mask: Mask) -> str:
    """Return a text, which may be the receiver's own, masked and truncated."""
    if len(text) <= _MAX_SHORT:
        return _masked_short(text, mask)
    return escape_invisible(mask(text))[:MAX_DETAIL]


# Most responses have their stages, and the headers of their server, in common.
@lru_cache(maxsize=4096)
def _masked_short(text: str, mask: Mask) -> str:
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
