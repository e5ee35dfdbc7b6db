"""Runs a worker of this process, whatever the database does."""

import contextlib
import logging
import threading
from collections.abc import Callable

from peewee import DatabaseError

from config import Config
from database import connect, describe_error
from delivery.queue import wakeup
from delivery.queue.slots import take_number
from delivery.redaction import format_traceback_without_message
from delivery.worker import Worker

log = logging.getLogger("tocsin.worker")


class _Slot:
    """The place of this process among the workers of a data folder."""

    def __init__(self, config: Config, number: int):
        self._config = config
        self._number = number
        self._worker: Worker | None = None

    def run(self, stop: threading.Event, beat: Callable[[], None], crashed: bool) -> None:
        """Run a worker until `stop` is set, or its connection to the database has ended."""
        connect()
        number = take_number(self._number)
        self._worker = Worker(self._config, number, on_crowd=self._wake_others)
        with contextlib.closing(self._worker):
            self._worker.begin(crashed)
            self._worker.run(stop, beat)

    def wake(self) -> None:
        """End the wait of the worker."""
        if self._worker:
            self._worker.wake()

    def _wake_others(self) -> None:
        for number in range(self._config.senders):
            if number != self._number:
                wakeup.interrupt(self._config.data_dir, number)


def work(
    config: Config,
    stop: threading.Event,
    beat: Callable[[], None],
    *,
    slot: int = 0,
    crashed: bool = False,
) -> None:
    """Run one of the workers of a data folder until `stop` is set.

    `slot` is its number in the folder. `beat` is called at least every few seconds. `crashed` says
    that the worker before it crashed, and was not killed from outside.
    """
    here = _Slot(config, slot)
    wakeup.listen(config.data_dir, here.wake, slot)
    logged = ""
    try:
        while not stop.is_set():
            beat()
            try:
                here.run(stop, beat, crashed)
            except DatabaseError as error:
                message = describe_error(error, config.database)
                if message != logged:
                    log.warning("the worker cannot begin yet: %s", message)
                logged = message
                stop.wait(0.5)
    except Exception as error:
        log.critical("the worker ends: %s", format_traceback_without_message(error))
        raise
