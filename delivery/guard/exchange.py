"""One HTTP exchange: its deadline, its size limit and its stages."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from config import AllowedTarget
from delivery.guard.addresses import NO_LAB, LabEndpoint
from delivery.guard.url import ParsedUrl
from delivery.outcome import Reason, Stage, StageResult
from delivery.settings import Settings

MAX_HEAD_BYTES = 64 * 1024


@dataclass(eq=False)
class ExchangeError(Exception):
    """An exchange ended early.

    `detail` completes the sentence of the reason. The class is no OSError, so that neither ssl
    nor http.client wraps it.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Policy:
    """The networks, certificate authorities and lab addresses that this installation allows."""

    allow: tuple[AllowedTarget, ...] = ()
    ca_file: Path | None = None
    lab: LabEndpoint = NO_LAB

    def permissions(self, target: ParsedUrl) -> tuple[AllowedTarget, ...]:
        """Return what a target may reach beside public addresses."""
        return (*self.allow, *self.lab.permissions(target))


@dataclass
class Exchange:
    """An exchange in progress.

    The timeout of the settings counts from `began` (monotonic); `started_at` is wall-clock time in
    epoch seconds. With `use_cache`, the addresses of the host may be those of an earlier lookup.
    `max_bytes` is how much may still be received. `received_any` is set with the first byte of a
    response.
    """

    target: ParsedUrl
    policy: Policy
    settings: Settings
    started_at: float = field(default_factory=time.time)
    use_cache: bool = False
    stages: list[StageResult] = field(default_factory=list)
    connected: bool = False
    max_bytes: int = MAX_HEAD_BYTES
    received_any: bool = False
    began: float = field(default_factory=time.monotonic)
    stage_began: float = field(default_factory=time.monotonic)

    @cached_property
    def pool_key(self) -> tuple:
        """A key that is equal for exchanges that may share a connection.

        It holds the permissions of the target's path: a connection to the lab must not serve
        another path of the same server.
        """
        return (
            self.target.origin,
            self.settings.verify_tls,
            self.settings.ca_pem,
            self.policy.ca_file,
            self.policy.lab.permissions(self.target),
        )

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        Raises: ExchangeError if the deadline has passed.
        """
        seconds = self.began + self.settings.timeout - time.monotonic()
        if seconds <= 0:
            raise ExchangeError(Reason.TIMEOUT_TOTAL if self.connected else Reason.TIMEOUT_CONNECT)
        return seconds

    def record_stage(self, name: Stage, detail: str = "", ok: bool = True) -> None:
        """End the current stage and record it under this name."""
        now = time.monotonic()
        self.stages.append(StageResult(name, (now - self.stage_began) * 1000, detail, ok))
        self.stage_began = now

    def count_received(self, count: int) -> None:
        """Count received bytes.

        Raises: ExchangeError if they exceed the limit.
        """
        if count and not self.received_any:
            self.received_any = True
            self.record_stage(Stage.FIRST_BYTE)
        self.max_bytes -= count
        if self.max_bytes < 0:
            raise ExchangeError(Reason.TOO_LARGE)
