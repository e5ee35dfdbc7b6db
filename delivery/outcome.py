"""What an attempt ends in, as a value, and the one table that gives each reason its actor, its verdict and its words.

The table is `outcomes.toml` beside this file: every word that an exchange may say to a person, ready to be translated.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any


class Verdict(StrEnum):
    """What an outcome means for the message."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    RETRY = "retry"
    FAILED = "failed"
    GONE = "gone"
    BLOCKED = "blocked"


class Actor(StrEnum):
    """Who caused an outcome."""

    INPUT = "input"
    POLICY = "policy"
    NETWORK = "network"
    RECEIVER = "receiver"
    PROXY = "proxy"
    TOCSIN = "tocsin"


class Reason(StrEnum):
    """Why an exchange ended as it did; a row of `outcomes.toml` each."""

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


class Stage(StrEnum):
    """One step of an exchange, in their order."""

    POLICY = "policy"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    SENT = "sent"
    FIRST_BYTE = "first byte"
    ANSWER = "answer"
    VERDICT = "verdict"


@dataclass(frozen=True)
class ReasonText:
    """One row of the table. `says` and `hint` may hold {receiver}, {answer}, {detail} and {seconds}."""

    actor: Actor
    verdict: Verdict
    says: str
    hint: str = ""


@dataclass(frozen=True)
class StageResult:
    """One step of an exchange: its name, how long it took, what it found, and whether it went well."""

    name: Stage
    milliseconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class SuggestedFix:
    """A known mend: what it is called on its button, and the form's fields that it sets."""

    label: str
    changes: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """How one HTTP exchange ended. Texts are masked; `excerpt` and `headers` are the receiver's and stay hostile.

    `status` is the receiver's (None when there was no answer), `milliseconds` the whole exchange, `retry_after` seconds.
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
        """Whether the receiver took the message, as far as it says so itself."""
        return self.verdict in (Verdict.DELIVERED, Verdict.ACCEPTED)

    def columns(self) -> dict[str, Any]:
        """What an attempt's row holds of it."""
        shown = {
            name: getattr(self, name)
            for name in ("verdict", "reason", "actor", "status", "receiver", "excerpt", "says")
        }
        return {
            **shown,
            "milliseconds": round(self.milliseconds),
            "stages": json.dumps([vars(one) for one in self.stages]),
        }

    @property
    def sent(self) -> bool:
        """Whether the request went out, whatever came of it."""
        return any(stage.name == "sent" and stage.ok for stage in self.stages)


_TABLE = tomllib.loads(Path(__file__).with_name("outcomes.toml").read_text(encoding="utf-8"))
REASONS = {
    Reason(name): ReasonText(
        Actor(row["actor"]), Verdict(row["verdict"]), row["says"], row.get("hint", "")
    )
    for name, row in _TABLE["reasons"].items()
}
WORDS: dict[str, str] = _TABLE["words"]


def status_hint(status: int) -> str:
    """What to do next after an answer with this status."""
    hints = _TABLE["statuses"]
    return hints.get(str(status)) or hints["500" if 500 <= status <= 599 else "other"]


def status_line(status: int) -> str:
    """The status with its registered phrase: `404 Not Found`. What phrase the receiver sent is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
