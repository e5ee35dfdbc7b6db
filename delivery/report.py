"""Turns the end of an exchange into its Outcome: judged, in words, masked. Knows nothing of sockets."""

import re
import time
from dataclasses import dataclass
from typing import Protocol

from delivery.masking import mask_of, visible
from delivery.outcome import ACCEPTED, DELIVERED, REASONS, RETRY, Outcome, Stage, status_hint, status_line
from delivery.retry import classify, retry_after
from delivery.settings import Settings
from delivery.target import Target

MOST_HEADERS_SHOWN = 30
EXCERPT_CHARACTERS = 4000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Answer:
    """What was read of an answer: the decoded body up to 16 KB, whether there was more, and why reading it ended early."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    cut: bool = False
    broken: str = ""

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for header, value in self.headers if header.lower() == name.lower()]


class Steps(Protocol):
    """What a report needs of an exchange: its target and its stages."""

    target: Target
    stages: list[Stage]

    def lap(self, name: str, detail: str = "", ok: bool = True) -> None:
        """Ends the stage that has run since the last call."""


_NEXT_STAGE = {"tcp": "sent", "tls": "sent", "sent": "first byte", "first byte": "answer"}


class Report:
    """Turns the end of one exchange into its Outcome, masked."""

    def __init__(self, exchange: Steps, settings: Settings, began: float, now: float):
        self.exchange, self.settings, self.began, self.now = exchange, settings, began, now
        self.mask = mask_of(settings)

    def answered(self, answer: Answer) -> Outcome:
        """The outcome of an answer, judged by its status, and by its framing where that is broken."""
        verdict, reason, detail = self._judged(answer)
        shown = self.mask(_text(answer))
        return self._outcome(
            reason,
            detail,
            verdict=verdict,
            status=answer.status,
            hint=status_hint(answer.status) if reason == "http_status" else None,
            headers=tuple((visible(n)[:100], visible(self.mask(v))[:300]) for n, v in answer.headers[:MOST_HEADERS_SHOWN]),
            excerpt=visible(shown[:EXCERPT_CHARACTERS])[:EXCERPT_CHARACTERS],
            excerpt_cut=answer.cut or bool(answer.broken) or len(shown) > EXCERPT_CHARACTERS,
            retry_after=retry_after(answer.values("Retry-After"), self.now) if verdict == RETRY else None,
        )

    def _judged(self, answer: Answer) -> tuple[str, str, str]:
        if answer.broken in ("connection_closed", "protocol_error", "internal_error"):
            return REASONS[answer.broken].verdict, answer.broken, ""
        verdict = classify(answer.status)
        if verdict == DELIVERED:
            return verdict, "ok_truncated" if answer.cut or answer.broken else "ok", ""
        if answer.status in _REDIRECTS:
            where = visible(self.mask(next(iter(answer.values("Location")), "")))[:300]
            return verdict, "redirect", where or "nowhere"
        return verdict, "http_status", ""

    def ended(self, reason: str, detail: str) -> Outcome:
        """The outcome of an exchange without an answer."""
        last = self.exchange.stages[-1] if self.exchange.stages else None
        if last and last.ok and last.name in _NEXT_STAGE:
            self.exchange.lap(_NEXT_STAGE[last.name], "not reached", ok=False)
        return self._outcome(reason, visible(self.mask(detail)))

    def _outcome(self, reason: str, detail: str, *, status: int | None = None, **given) -> Outcome:
        row, target = REASONS[reason], self.exchange.target
        blanks = {
            "receiver": target.authority,
            "answer": status_line(status) if status else "",
            "detail": detail,
            "seconds": self.settings.timeout,
        }
        hint = given.pop("hint", None) or row.hint.format(**blanks)
        verdict = given.pop("verdict", row.verdict)
        self.exchange.lap("verdict", verdict, ok=verdict in (DELIVERED, ACCEPTED))
        return Outcome(
            verdict=verdict,
            reason=reason,
            actor=row.actor,
            says=row.says.format(**blanks),
            hint=hint,
            receiver=target.authority,
            milliseconds=(time.monotonic() - self.began) * 1000,
            status=status,
            stages=tuple(self.exchange.stages),
            **given,
        )


def _text(answer: Answer) -> str:
    match = re.search(r"charset=[\"']?([A-Za-z0-9_.:-]{1,40})", " ".join(answer.values("Content-Type")), re.IGNORECASE)
    try:
        return answer.body.decode(match[1] if match else "utf-8", "replace")
    except (LookupError, ValueError):
        return answer.body.decode("utf-8", "replace")
