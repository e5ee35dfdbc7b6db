"""How an exchange ended: the `Outcome`, and the sentences of each reason.

The sentences are in `outcomes.toml` beside this file, one row a reason, ready to be translated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec


class Verdict(StrEnum):
    """What an outcome means for the message."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"
    BLOCKED = "blocked"


# The receiver says that it has the message.
GOOD_VERDICTS = (Verdict.DELIVERED, Verdict.ACCEPTED)


class Actor(StrEnum):
    """Who caused an outcome."""

    INPUT = "input"
    POLICY = "policy"
    NETWORK = "network"
    RECEIVER = "receiver"
    PROXY = "proxy"
    TOCSIN = "tocsin"


class Reason(StrEnum):
    """Why an exchange ended as it did; `outcomes.toml` has a row for each."""

    OK = "ok"
    OK_TRUNCATED = "ok_truncated"
    ACCEPTED = "accepted"
    HTTP_STATUS = "http_status"
    REDIRECT = "redirect"
    BODY_SAYS_ERROR = "body_says_error"
    TOO_LARGE = "too_large"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_TOTAL = "timeout_total"
    CONNECT_REFUSED = "connect_refused"
    CONNECTION_CLOSED = "connection_closed"
    PROTOCOL_ERROR = "protocol_error"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_SELF_SIGNED = "tls_self_signed"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_HOSTNAME = "tls_hostname"
    TLS_PROTOCOL = "tls_protocol"
    TLS_HANDSHAKE = "tls_handshake"
    TLS_NOT_TLS = "tls_not_tls"
    DNS_FAILURE = "dns_failure"
    DNS_TIMEOUT = "dns_timeout"
    BLOCKED_ADDRESS = "blocked_address"
    INVALID_URL = "invalid_url"
    TEMPLATE_ERROR = "template_error"
    INTERNAL_ERROR = "internal_error"


# The response says that the receiver does not have the message.
_REFUSALS = frozenset({Reason.HTTP_STATUS, Reason.REDIRECT, Reason.BODY_SAYS_ERROR})


class Stage(StrEnum):
    """A step of an exchange, in their order."""

    POLICY = "policy"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    SENT = "sent"
    FIRST_BYTE = "first byte"
    VERDICT = "verdict"


@dataclass(frozen=True)
class ReasonText:
    """The row of a reason in `outcomes.toml`.

    `says` and `hint` may hold the placeholders {receiver}, {answer}, {detail} and {seconds}.
    """

    actor: Actor
    verdict: Verdict
    says: str
    hint: str = ""


@dataclass(frozen=True)
class _Sentences:
    """The content of `outcomes.toml`."""

    reasons: dict[Reason, ReasonText]
    proxy: ReasonText
    statuses: dict[str, str]


@dataclass(frozen=True)
class StageResult:
    """How one stage of an exchange went, and how long it took.

    `name` is a `Stage`, except where an attempt was read back from a damaged row.
    """

    name: Stage
    milliseconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class SuggestedFix:
    """A change of the channel that cures a failure, offered as a button.

    `label` is the text of the button, `changes` the new values of form fields. `text` is a sentence
    that says why, where the outcome does not.
    """

    label: str
    changes: Mapping[str, str] = field(repr=False)
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Outcome:
    """How one HTTP exchange ended.

    All texts are masked. `excerpt` and `headers` come from the receiver and are hostile. `status`
    is None without a response, `milliseconds` covers the whole exchange, and `retry_after` is in
    seconds.
    """

    verdict: Verdict
    reason: Reason
    actor: Actor
    says: str
    hint: str
    receiver: str
    milliseconds: float
    status: int | None = None
    stages: tuple[StageResult, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    excerpt: str = ""
    excerpt_cut: bool = False
    retry_after: float | None = None
    suggested_fix: SuggestedFix | None = None

    @property
    def good(self) -> bool:
        """Return True if the receiver says that it has the message."""
        return self.verdict in GOOD_VERDICTS

    @property
    def sent(self) -> bool:
        """Return True if the request went out completely."""
        return any(stage.name == Stage.SENT and stage.ok for stage in self.stages)

    @property
    def answered(self) -> bool:
        """Return True if an HTTP response came."""
        return self.status is not None

    @property
    def may_have_arrived(self) -> bool:
        """Return True if the message arrived, or went out completely without a clear response."""
        return self.good or (self.sent and self.reason not in _REFUSALS)

    def columns(self) -> dict[str, Any]:
        """Return the columns of an attempt's row that describe this outcome."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "actor": self.actor,
            "status": self.status,
            "receiver": self.receiver,
            "excerpt": self.excerpt,
            "says": self.says,
            "milliseconds": round(self.milliseconds),
            "stages": msgspec.json.encode(self.stages).decode(),
        }


_SENTENCES = msgspec.toml.decode(
    Path(__file__).with_name("outcomes.toml").read_bytes(), type=_Sentences
)
REASONS = _SENTENCES.reasons
PROXY_TEXT = _SENTENCES.proxy


def status_hint(status: int) -> str:
    """Return what to do next after a response with this status."""
    fallback = "500" if 500 <= status <= 599 else "other"
    return _SENTENCES.statuses.get(str(status)) or _SENTENCES.statuses[fallback]


def status_line(status: int) -> str:
    """Return the status with its registered phrase, such as `404 Not Found`.

    The phrase that the receiver sent is not repeated.
    """
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
