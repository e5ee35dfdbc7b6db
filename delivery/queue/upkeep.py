"""What a worker does beside its deliveries, most of it once a second.

Most of it concerns the whole outbox. One worker of an installation does that: the leader.
"""

import logging
from collections.abc import Callable

from config import Config
from delivery import outbox
from delivery.queue.channel_limits import rate_limited_kinds
from delivery.queue.errands import Errands
from delivery.queue.fallback_watch import FallbackWatch
from delivery.queue.message_builder import MessageBuilder
from delivery.queue.pruner import Pruner
from delivery.queue.slice_timer import SliceTimer
from delivery.queue.slots import vacant
from delivery.sender import Clock
from models import db

INTERVAL = 1.0  # seconds
MAX_CLOCK_JUMP = 30  # seconds
FIRST_ANALYSIS = 2.0  # seconds
# A supervisor starts its worker again within that time, which knows what was being sent.
ABANDONED_AFTER = 2.0  # seconds

log = logging.getLogger("tocsin.worker")


class Analysis:
    """Has a server count its rows soon after the start, and less and less often.

    Without these counts it may read a whole backlog for each delivery. After the first minutes, it
    counts often enough without being asked.
    """

    def __init__(self, monotonic: Clock):
        self._monotonic = monotonic
        self._wait = FIRST_ANALYSIS
        self._next_at = monotonic() + self._wait

    def run(self) -> None:
        """Count the rows if it is time."""
        if self._monotonic() >= self._next_at:
            db.analyze()
            self._wait *= 2
            self._next_at = self._monotonic() + self._wait


class Upkeep:
    """The upkeep by one worker, which has this `number`.

    The leader runs the `errands`. `has_crash_suspects` is True while a waiting delivery may have
    crashed a worker.
    """

    def __init__(
        self,
        config: Config,
        number: int,
        builder: MessageBuilder,
        monotonic: Clock,
        rng: Callable[[], float],
    ):
        self._config = config
        self._number = number
        self._clock = builder.clock
        self._monotonic = monotonic
        self._clock_offset = self._clock() - monotonic()
        self.errands = Errands(config, builder, monotonic, rng)
        self._fallbacks = FallbackWatch(builder.installation.public_url, monotonic)
        self._pruner = Pruner(config, monotonic)
        self._replays = SliceTimer(monotonic, rest=1, min_rest=0.01, pause=INTERVAL)
        self._newest_id = 0
        self._ended_since: dict[int, float] = {}  # senders that left deliveries behind
        self._analysis = Analysis(monotonic)
        self.ran_at = float("-inf")
        self.is_leader = False
        self.has_crash_suspects = True

    @property
    def wait(self) -> float:
        """The seconds until the next slice of a replay or of pruning; infinite without one."""
        return min(self._replays.wait, self._pruner.wait)

    @property
    def kinds_of_others(self) -> list[str]:
        """The kinds of channels that another worker sends to: the leader keeps their rates."""
        return [] if self.is_leader else rate_limited_kinds()

    def run(self, now: int) -> None:
        """Do what is due; `now` is the time in milliseconds since the epoch."""
        if self.is_leader:
            self._newest_id = outbox.newest_id()
        if self._monotonic() - self.ran_at < INTERVAL:
            return
        self.ran_at = self._monotonic()
        self.is_leader = self.is_leader or db.lead(self._number)
        if self.is_leader:
            outbox.close_overdue(now)
            outbox.review(now)
            self._fallbacks.run(now)
            outbox.sweep(now)  # afterwards: no probe is of an alert that is overdue
            self._take_over_abandoned(now)
            self.errands.run(now)
            self._analysis.run()
        self.has_crash_suspects = self.has_crash_suspects and outbox.has_crash_suspects()

    def run_slices(self, now: int) -> None:
        """Run a slice of a replay, and prune a slice of the database, if it is time."""
        if self.is_leader:
            self._replays.run(lambda: outbox.run_replay_slice(now))
            self._pruner.run_slice(now)

    def note_round(self) -> None:
        """Note that this worker has sent what was due."""
        self._fallbacks.begin()

    def follow_clock(self, now: int) -> int:
        """Move all times with a clock that has jumped, before they are compared with it.

        Return the jump in milliseconds, 0 without one. The clock shows `now`.
        """
        jump = self._clock() - self._monotonic() - self._clock_offset
        if abs(jump) <= MAX_CLOCK_JUMP:
            return 0
        log.warning("the clock has jumped by %d seconds: all deliveries move with it", jump)
        if self.is_leader:
            outbox.move_with_clock(int(jump * 1000), now, self._newest_id)
        self._clock_offset += jump
        return int(jump * 1000)

    def _take_over_abandoned(self, now: int) -> None:
        """Take over the deliveries of workers that have ended and were not started again."""
        ended_since = {}
        for number in outbox.senders_under_way() - {self._number}:
            with vacant(self._config, number) as is_vacant:
                if not is_vacant:
                    continue
                since = self._ended_since.get(number, self._monotonic())
                if self._monotonic() - since < ABANDONED_AFTER:
                    ended_since[number] = since
                    continue
                outbox.take_over(now, sender=number, sent=None)
                self.has_crash_suspects = True
        self._ended_since = ended_since
