"""One HTTP exchange: its deadline, byte budget and stages."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from config_values import AllowedTarget
from delivery.guard.addresses import NOWHERE, LabEndpoint
from delivery.guard.url import ParsedUrl
from delivery.outcome import Reason, StageResult

HEAD_BYTES = 64 * 1024


class ExchangeError(Exception):
    """An exchange that ended before there was an answer: `reason` is one of the outcome table's, `detail` words for it."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason = Reason(reason)
        self.detail = detail


@dataclass(frozen=True)
class Policy:
    """What this installation allows: private networks, extra certificate authorities, and the lab's address."""

    allow: tuple[AllowedTarget, ...] = ()
    ca_file: Path | None = None
    lab: LabEndpoint = NOWHERE


@dataclass
class Exchange:
    """One exchange on its way: its target, the seconds it has, its budget of bytes, and its stages so far.

    `at` is the wall clock's time (epoch seconds), `began` the monotonic one from which its seconds count; `heard` says
    whether any byte of an answer came.
    """

    target: ParsedUrl
    policy: Policy
    seconds: float
    at: float = field(default_factory=time.time)
    stages: list[StageResult] = field(default_factory=list)
    connected: bool = False
    budget: int = HEAD_BYTES
    listening: bool = False
    received_any: bool = False
    began: float = field(default_factory=time.monotonic)
    lap_began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Lets the seconds count from now on: what went before was no part of the exchange."""
        self.began = self.lap_began = time.monotonic()

    def left(self) -> float:
        """The seconds until the deadline. Raises GuardError when there are none."""
        seconds = self.began + self.seconds - time.monotonic()
        if seconds <= 0:
            raise ExchangeError(Reason.TIMEOUT_TOTAL if self.connected else Reason.TIMEOUT_CONNECT)
        return seconds

    def record_stage(self, name: str, detail: str = "", ok: bool = True) -> None:
        """Ends the stage that has run since the last call."""
        now = time.monotonic()
        self.stages.append(StageResult(name, (now - self.lap_began) * 1000, detail, ok))
        self.lap_began = now

    def received(self, count: int) -> None:
        """Counts what came in. Raises GuardError beyond the budget."""
        if self.listening and count and not self.received_any:
            self.received_any = True
            self.record_stage("first byte")
        self.budget -= count
        if self.budget < 0:
            raise ExchangeError(Reason.TOO_LARGE)
