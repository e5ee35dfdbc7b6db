"""Runs the worker of this process, whatever the database does."""

import logging
import threading
from collections.abc import Callable

from peewee import DatabaseError

from config import Config
from database import connect, describe_error
from delivery.redaction import format_traceback_without_message
from delivery.worker import Worker

log = logging.getLogger("tocsin.worker")


def work(
    config: Config, stop: threading.Event, beat: Callable[[], None], crashed: bool = False
) -> None:
    """Run the only worker of an installation until `stop` is set.

    `beat` is called at least every few seconds. `crashed` says that the worker before it crashed,
    and was not killed from outside.
    """
    logged = ""
    try:
        while not stop.is_set():
            beat()
            try:
                connect()
                worker = Worker(config)
                worker.begin(crashed)
            except DatabaseError as error:
                message = describe_error(error, config.database)
                if message != logged:
                    log.error("the worker cannot begin yet: %s", message)
                logged = message
                stop.wait(0.5)
            else:
                worker.run(stop, beat)
    except Exception as error:
        log.critical("the worker ends: %s", format_traceback_without_message(error))
        raise
