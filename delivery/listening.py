"""Report that this web process accepts alerts (`delivery.outbox.listening` says why)."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from peewee import DatabaseError

from clock import now_ms
from database import connect, relaxed_durability
from delivery import outbox
from delivery.redaction import format_traceback_without_message
from models import db

log = logging.getLogger("tocsin.web")


@dataclass
class ListeningReporter:
    """Reports for one process. Its monotonic clock tells a gap from a jump of the wall clock."""

    clock: Callable[[], int] = now_ms
    monotonic: Callable[[], float] = time.monotonic
    _reported_at: float | None = None
    _error: type[Exception] | None = None

    def report(self) -> None:
        """Report once. A failure counts as a gap; the first of its type is logged.

        No failure may end the thread: alerts that nobody repeats would stay open for ever.
        """
        try:
            self._report()
            self._error = None
        except Exception as error:  # noqa: BLE001 (see above)
            if type(error) is not self._error:
                text = str(error)
                if not isinstance(error, DatabaseError):
                    text = format_traceback_without_message(error)
                log.error("the web process cannot report that it listens: %s", text)
            self._error = type(error)

    def _report(self) -> None:
        """Report unless the outbox is full and refuses alerts."""
        connect()
        now = self.clock()
        started = self.monotonic()
        if outbox.is_full(now):
            return
        max_gap = None
        if self._reported_at is not None:
            max_gap = round((started - self._reported_at) * 1000)
        with relaxed_durability():
            outbox.report_listening(now, max_gap)
        self._reported_at = started

    def run(self, is_accepting: Callable[[], bool]) -> None:
        """Report until the process accepts no more requests."""
        while is_accepting():
            self.report()
            time.sleep(outbox.REPORT_INTERVAL / 1000)
        db.close()


def start_reporting(is_accepting: Callable[[], bool]) -> None:
    """Report in a thread until the process accepts no more requests."""
    reporter = ListeningReporter()
    arguments = (is_accepting,)
    threading.Thread(target=reporter.run, args=arguments, daemon=True, name="listening").start()
