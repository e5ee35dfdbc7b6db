"""What an attempt ends in, as a value, and the one table that gives each reason its actor, its verdict and its words.

The table is `outcomes.toml` beside this file: every word that an exchange may say to a person, ready to be translated.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

DELIVERED, ACCEPTED, RETRY, GONE = "delivered", "accepted", "retry", "gone"


@dataclass(frozen=True)
class Reason:
    """One row of the table. `says` and `hint` may hold {receiver}, {answer}, {detail} and {seconds}."""

    actor: str
    verdict: str
    says: str
    hint: str = ""


@dataclass(frozen=True)
class Stage:
    """One step of an exchange: its name, how long it took, what it found, and whether it went well."""

    name: str
    milliseconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class Repair:
    """A known mend: what it is called on its button, and the form's fields that it sets."""

    label: str
    changes: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """How one HTTP exchange ended. Texts are masked; `excerpt` and `headers` are the receiver's and stay hostile.

    `status` is the receiver's (None when there was no answer), `milliseconds` the whole exchange, `retry_after` seconds.
    """

    verdict: str
    reason: str
    actor: str
    says: str
    hint: str
    receiver: str
    milliseconds: float
    status: int | None = None
    stages: tuple[Stage, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    excerpt: str = ""
    excerpt_cut: bool = False
    retry_after: float | None = None
    repair: Repair | None = None

    @property
    def good(self) -> bool:
        """Whether the receiver took the message, as far as it says so itself."""
        return self.verdict in (DELIVERED, ACCEPTED)

    def columns(self) -> dict[str, Any]:
        """What an attempt's row holds of it."""
        shown = {name: getattr(self, name) for name in ("verdict", "reason", "actor", "status", "receiver", "excerpt", "says")}
        return {**shown, "milliseconds": round(self.milliseconds), "stages": json.dumps([vars(one) for one in self.stages])}

    @property
    def sent(self) -> bool:
        """Whether the request went out, whatever came of it."""
        return any(stage.name == "sent" and stage.ok for stage in self.stages)


_TABLE = tomllib.loads(Path(__file__).with_name("outcomes.toml").read_text(encoding="utf-8"))
REASONS = {name: Reason(**row) for name, row in _TABLE["reasons"].items()}
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
