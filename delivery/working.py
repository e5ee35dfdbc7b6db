"""Runs the worker of this process, whatever the database does."""

import logging
import threading
from collections.abc import Callable

from peewee import DatabaseError

from config import Config
from database import connect, describe_error
from delivery.queue import wakeup
from delivery.redaction import format_traceback_without_message
from delivery.worker import Worker
from models import db

log = logging.getLogger("tocsin.worker")


def work(
    config: Config, stop: threading.Event, beat: Callable[[], None], crashed: bool = False
) -> None:
    """Run the only worker of an installation until `stop` is set; wait while there is another one.

    `beat` is called at least every few seconds. `crashed` says that the worker before it crashed,
    and was not killed from outside.
    """
    worker: Worker | None = None

    def wake() -> None:
        if worker:
            worker.wake()

    wakeup.listen(config.data_dir, wake)
    logged = ""
    try:
        while not stop.is_set():
            beat()
            worker = None
            try:
                connect()
                message = "a worker on another machine delivers; this one waits for its end"
                if db.own_outbox():
                    worker = _begin(config, crashed)
            except DatabaseError as error:
                message = f"the worker cannot begin yet: {describe_error(error, config.database)}"
            if worker:
                worker.run(stop, beat)
                continue
            if message != logged:
                log.warning(message)
            logged = message
            stop.wait(0.5)
    except Exception as error:
        log.critical("the worker ends: %s", format_traceback_without_message(error))
        raise


def _begin(config: Config, crashed: bool) -> Worker:
    worker = Worker(config)
    worker.begin(crashed)
    return worker
