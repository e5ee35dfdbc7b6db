"""Runs: messages of one channel that one thread sends one after another.

A thread for every message costs more than sending it, as long as the receiver responds at once.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from delivery.queue.channel_limits import Seat
from delivery.queue.message_builder import PreparedMessage
from delivery.queue.seats import MAX_SEATS
from delivery.queue.settlement import FinishedAttempt
from delivery.redaction import format_traceback_without_message
from delivery.sender import Clock

REPORT_SECONDS = 0.1  # after that, a run hands over the attempts that have finished
STUCK_SECONDS = 0.1  # until the rest of a run does not wait for one message any longer

log = logging.getLogger("tocsin.worker")


@dataclass(eq=False)
class Run(Seat):
    """The messages of a run that are still to be sent, and the attempts that were not reported."""

    messages: deque[PreparedMessage] = field(default_factory=deque)
    finished: list[FinishedAttempt] = field(default_factory=list)

    def take_back(self) -> list[PreparedMessage]:
        """Return the messages that are still to be sent, which the run will not send."""
        rest = []
        with contextlib.suppress(IndexError):  # its thread takes messages at the same time
            while True:
                rest.append(self.messages.popleft())
        return rest


@dataclass
class Runs:
    """The runs under way, and the threads that send them.

    `max_run` returns how many messages of a channel one run may have. `send` sends one message,
    unless `is_current` returns False: its channel has changed. `report` is called with attempts
    that have finished, and with every run that has ended.
    """

    max_run: Callable[[int], int]
    send: Callable[[PreparedMessage], FinishedAttempt]
    is_current: Callable[[PreparedMessage], bool]
    report: Callable[[Run | FinishedAttempt], None]
    monotonic: Clock
    under_way: set[Run] = field(default_factory=set)
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MAX_SEATS, thread_name_prefix="send")
    )

    def are_under_way(self) -> bool:
        """Return True if a run has not ended."""
        return bool(self.under_way)

    def start(self, prepared: Iterable[PreparedMessage]) -> list[PreparedMessage]:
        """Send messages; return those for which there is no thread."""
        by_channel: dict[int, list[PreparedMessage]] = {}
        for one in prepared:
            by_channel.setdefault(one.claimed.channel_id, []).append(one)
        unsent: list[PreparedMessage] = []
        for channel_id, messages in by_channel.items():
            length = self.max_run(channel_id)
            for first in range(0, len(messages), length):
                part = messages[first : first + length]
                run = Run(channel_id, self.monotonic(), len(part) > 1, deque(part))
                if not self._submit(run):
                    unsent += part
        return unsent

    def end(self, run: Run) -> list[PreparedMessage]:
        """Note the end of a run; return what it has not sent.

        That is the rest behind a message that was not accepted, and of a channel that has changed.
        """
        self.under_way.discard(run)
        return run.take_back()

    def take_back(self) -> list[PreparedMessage]:
        """Return all messages that no thread has begun to send."""
        return [one for run in self.under_way for one in run.take_back()]

    def take_back_stuck(self) -> list[PreparedMessage]:
        """Return the messages of runs whose receiver has become slow."""
        long_ago = self.monotonic() - STUCK_SECONDS
        rest = []
        for run in self.under_way:
            if run.messages and run.since < long_ago:
                rest += run.take_back()
        return rest

    def _submit(self, run: Run) -> bool:
        self.under_way.add(run)
        try:
            self.pool.submit(self._send_run, run)
        except RuntimeError as error:
            log.error("no thread to send with: %s", format_traceback_without_message(error))
            self.under_way.discard(run)
            return False
        return True

    def _send_run(self, run: Run) -> None:
        """Send until a message was not accepted."""
        report_at = self.monotonic() + REPORT_SECONDS
        with contextlib.suppress(IndexError):  # none is left, or the rest was taken back
            while self.is_current(run.messages[0]):
                run.since = self.monotonic()
                attempt = self.send(run.messages.popleft())
                run.finished.append(attempt)
                if not attempt.outcome.good:
                    break
                if run.since >= report_at:
                    list(map(self.report, run.finished))
                    run.finished.clear()
                    report_at = run.since + REPORT_SECONDS
        self.report(run)
