"""Sends the fire drills of channels, one at a time, in a thread of its own."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from delivery import outbox
from delivery.alerts.samples import drill_alert
from delivery.channel_test import TestRunner, TestSlotsFull
from delivery.guard.exchange import Policy
from delivery.installation import Installation
from delivery.message import MessageError
from delivery.outbox import Drill, DrillResult
from delivery.outcome import Outcome
from delivery.queue.background import run_in_thread
from delivery.secrets.encryption import Keyring
from delivery.sender import Clock, unsent
from delivery.settings import read_settings
from models import Channel

# Also the pause between two drills: after a long stop, many are due.
INTERVAL = 10.0  # seconds

log = logging.getLogger("tocsin.drills")


@dataclass
class DrillSender:
    """Sends what is due; call `run` often, in the thread that uses the database."""

    keyring: Keyring
    policy: Policy
    installation: Installation
    clock: Clock
    monotonic: Clock
    rng: Callable[[], float]
    run_task: Callable[[Callable[[], None]], None] = run_in_thread
    _under_way: bool = False
    _result: DrillResult | None = None  # not stored yet
    _next_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._runner = TestRunner(1, self.policy, self.installation)

    def run(self, now: int) -> None:
        """Store what has become of a drill, or send the next one if it is time."""
        if self._result:
            self._settle(self._result, now)
        if self._under_way or self.monotonic() < self._next_at:
            return
        self._next_at = self.monotonic() + INTERVAL
        outbox.plan_drills(now, self.rng)
        drill = outbox.claim_drill(now)
        channel = Channel.find(drill.channel_id) if drill else None
        if drill and channel:
            self._under_way = True
            self.run_task(lambda: self._send(drill, channel))

    def _settle(self, result: DrillResult, now: int) -> None:
        outbox.settle_drill(result, now, self.rng())
        self._result = None
        if not result.outcome.good:
            about = {"channel_id": result.channel_id, "reason": result.outcome.reason.value}
            log.warning("a fire drill failed: %s", result.outcome.says, extra=about)

    def _send(self, drill: Drill, channel: Channel) -> None:
        """Send a drill, without the database, and leave its result for the next call of `run`.

        At the rate limit of its service there is no result: the drill is due again in an hour.
        """
        started_at = int(self.clock() * 1000)
        with contextlib.suppress(TestSlotsFull):
            self._result = DrillResult(
                drill.channel_id,
                drill.planned_at,
                channel.config_hash,
                channel.version,
                started_at,
                self._outcome(channel),
            )
        self._under_way = False

    def _outcome(self, channel: Channel) -> Outcome:
        """Return the outcome of a drill, or that of its closing if only that failed.

        Raises: TestSlotsFull if the service takes no message now.
        """
        settings, problem = read_settings(channel, self.keyring)
        url = self.installation.public_url
        url = f"{url}/channels/{channel.id}/edit" if url else ""
        try:
            if problem:
                raise MessageError(problem)
            result = self._runner.run(settings, url, bool(channel.group_by), drill_alert)
        except TestSlotsFull:
            raise
        except Exception as error:  # noqa: BLE001 (no channel may end the worker)
            return unsent(error, settings, self.policy, self.clock)
        if result.outcome.good and result.closing and not result.closing.good:
            return replace(result.closing, says=result.note)
        return result.outcome
