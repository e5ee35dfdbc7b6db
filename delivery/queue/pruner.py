"""Prunes the database: between the rounds of the worker, or all at once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from config import Config
from delivery import outbox
from delivery.queue.slice_timer import SliceTimer
from models import db

PASS_INTERVAL = 60.0  # seconds from the end of one pass to the next
REST = 4  # times the length of a slice, in which others use the database
MIN_REST = 0.02  # seconds
PAUSE = 0.005  # seconds after a slice of the command, in which a server uses the database


class Pruner:
    """Prunes one slice at a time; `wait` is the time until the next one in seconds."""

    def __init__(self, config: Config, monotonic: Callable[[], float]):
        self._config = config
        self._timer = SliceTimer(monotonic, rest=REST, min_rest=MIN_REST, pause=PASS_INTERVAL)
        self._slices: Iterator[object] | None = None

    @property
    def wait(self) -> float:
        """The seconds until the next slice of a pass; infinite between passes."""
        return self._timer.wait

    def run_slice(self, now: int) -> None:
        """Prune a slice if it is time; a pass that fails is begun again later."""
        self._timer.run(lambda: self._prune_slice(now))

    def _prune_slice(self, now: int) -> bool:
        slices = self._slices or self._pass(now)
        self._slices = None
        if next(slices, None) is None:
            return False
        self._slices = slices
        return True

    def _pass(self, now: int) -> Iterator[object]:
        yield from outbox.prune(now, self._config.keep_days, self._config.keep_deliveries)
        while db.shrink():
            yield True


def prune_now(
    config: Config, keep_days: int, now: int, advance: Callable[[int], None] = lambda _number: None
) -> Counter[str]:
    """Prune everything and give all free pages back; return the numbers of what went by name.

    `advance` gets the number of each slice. What is interrupted was done up to there.
    """
    counts: Counter[str] = Counter()
    for pruned in outbox.prune(now, keep_days, config.keep_deliveries):
        counts[pruned.name] += pruned.number
        advance(pruned.number)
        time.sleep(PAUSE)
    if not db.can_shrink():
        db.rewrite()
    while db.shrink():
        time.sleep(PAUSE)
    db.finish_shrinking()
    return counts
