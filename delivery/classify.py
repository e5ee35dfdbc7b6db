"""Turns the end of an exchange into its Outcome: judged, in words, masked."""

from dataclasses import replace

from delivery.guard.exchange import Exchange
from delivery.guard.url import InvalidUrl, parse_url
from delivery.message import Message
from delivery.outcome import (
    REASONS,
    WORDS,
    Actor,
    Outcome,
    Reason,
    Stage,
    SuggestedFix,
    Verdict,
    status_hint,
    status_line,
)
from delivery.redaction import escape_invisible, mask_for
from delivery.response import Judgement, Response
from delivery.retry import retry_after
from delivery.settings import Settings

MOST_HEADERS_SHOWN = 30
EXCERPT_CHARACTERS = 4000
MOST_DETAIL = 300
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A body that breaks off or is no proper HTTP counts for nothing, whatever its status was.
_FATAL = (Reason.CONNECTION_CLOSED, Reason.PROTOCOL_ERROR, Reason.INTERNAL_ERROR)
_NEXT_STAGE = {
    Stage.POLICY: Stage.DNS,
    Stage.DNS: Stage.TCP,
    Stage.TCP: Stage.SENT,
    Stage.TLS: Stage.SENT,
    Stage.SENT: Stage.FIRST_BYTE,
    Stage.FIRST_BYTE: Stage.ANSWER,
}


class Report:
    """Turns the end of one exchange into its Outcome, masked."""

    def __init__(self, exchange: Exchange, settings: Settings):
        self.exchange, self.settings = exchange, settings
        self.mask = mask_for(settings)

    def answered(self, response: Response, message: Message) -> Outcome:
        """The outcome of an answer: of its framing where that is broken, a redirect, or as the kind judges it."""
        judged = self._judged(response, message)
        verdict = judged.verdict or REASONS[judged.reason].verdict
        self._decide(verdict)
        wait = retry_after(
            response.values("Retry-After"), self.exchange.started_at, judged.retry_after
        )
        shown = self.mask(response.text) if response.whole else self.mask.cut(response.text)
        return self._outcome(
            judged.reason,
            judged.detail,
            verdict=verdict,
            actor=judged.actor,
            status=response.status,
            hint=status_hint(response.status)
            if judged.reason == "http_status" and not judged.actor
            else None,
            headers=tuple(
                (self._shown(n)[:100], self._shown(v))
                for n, v in response.headers[:MOST_HEADERS_SHOWN]
            ),
            excerpt=escape_invisible(shown[:EXCERPT_CHARACTERS])[:EXCERPT_CHARACTERS],
            excerpt_cut=not response.whole or len(shown) > EXCERPT_CHARACTERS,
            suggested_fix=self._moved(response)
            if judged.reason == "redirect"
            else message.suggest_fix(response),
            retry_after=wait if verdict == Verdict.RETRY else None,
        )

    def _judged(self, response: Response, message: Message) -> Judgement:
        if response.broken in _FATAL:
            return Judgement(response.broken)
        if response.status in _REDIRECTS:
            return Judgement(
                Reason.REDIRECT, next(iter(response.values("Location")), "") or WORDS["nowhere"]
            )
        return message.judge(response)

    def _moved(self, response: Response) -> SuggestedFix | None:
        """The whole address that a redirect points to, as the channel's; its origin alone where the rest is the same."""
        target = self.exchange.target
        try:
            there, own = (
                parse_url(next(iter(response.values("Location")), "")),
                parse_url(self.settings.url),
            )
        except InvalidUrl:
            return None
        same = (there.path, there.query) == (target.path, target.query)
        moved = replace(there, path=own.path, query=own.query) if same else there
        return SuggestedFix(WORDS["use_location"], {"url": moved.url})

    def ended(self, reason: str, detail: str) -> Outcome:
        """The outcome of an exchange without an answer."""
        last = self.exchange.stages[-1] if self.exchange.stages else None
        if last and last.ok and last.name in _NEXT_STAGE:
            self.exchange.record_stage(_NEXT_STAGE[last.name], WORDS["not_reached"], ok=False)
        self._decide(REASONS[Reason(reason)].verdict)
        return self._outcome(Reason(reason), detail)

    def _decide(self, verdict: str) -> None:
        """Ends the last stage, and with it the time: what comes after is words."""
        self.exchange.record_stage(
            Stage.VERDICT, verdict, ok=verdict in (Verdict.DELIVERED, Verdict.ACCEPTED)
        )

    def _outcome(
        self, reason: Reason, detail: str, *, status: int | None = None, **given
    ) -> Outcome:
        row, target, found = REASONS[reason], self.exchange.target, self._shown(detail)
        if given.get("actor") == Actor.PROXY:
            row = replace(
                row, actor=Actor.PROXY, says=WORDS["proxy_says"], hint=WORDS["proxy_hint"]
            )
        words = f" ({found})" if reason == "http_status" and found else ""
        blanks = {
            "receiver": target.authority,
            "answer": status_line(status) + words if status else "",
            "detail": found,
            "seconds": f"{self.settings.timeout:g}",
        }
        hint = given.pop("hint", None) or row.hint.format(**blanks)
        verdict = given.pop("verdict", row.verdict)
        return Outcome(
            verdict=verdict,
            reason=reason,
            actor=given.pop("actor", None) or row.actor,
            says=row.says.format(**blanks),
            hint=hint,
            receiver=target.authority,
            milliseconds=self.exchange.milliseconds,
            status=status,
            stages=tuple(
                replace(stage, detail=self._shown(stage.detail)) for stage in self.exchange.stages
            ),
            **given,
        )

    def _shown(self, detail: str) -> str:
        """What was found on the way may be the receiver's own text."""
        return escape_invisible(self.mask(detail))[:MOST_DETAIL]
