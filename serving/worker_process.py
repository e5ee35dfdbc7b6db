"""A worker process, and the process of `tocsin worker`, which supervises them."""

import ctypes
import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial

import database
from config import Config
from config.networks import parse_bind
from delivery.queue import wakeup
from delivery.queue.heartbeat import beat
from delivery.working import work
from logs import log_to_stderr
from models import db
from serving.cores import pin_to
from serving.supervisor import start_supervisors

_PR_SET_PDEATHSIG = 1  # prctl(2)
_NICENESS = 10  # pages and ingest come first: without it, they take twice as long during deliveries


def supervise(config: Config) -> None:
    """Keep the workers of a prepared installation running until a signal ends this process.

    Called for by name, there is at least one.
    """
    log_to_stderr(config.log_format)
    config = replace(config, senders=max(1, config.senders))
    stop = _stop_at_signals(config)
    for supervisor in start_supervisors(config, lambda: not stop.is_set(), file=db.file):
        supervisor.join()


def run(
    config: Config,
    lock: int,
    *,
    parent: int,
    slot: int,
    core: int | None,
    bind: str | None,
    file: database.FileId | None,
    crashed: bool,
) -> None:
    """Deliver until a signal ends this process, which its supervisor has started.

    `lock` is the descriptor of the worker's lock, `parent` the id of the supervisor's process,
    `slot` the number of the worker in the data folder, `core` what it is bound to, `bind` the
    address of the pages if it is not TOCSIN_BIND, `file` the database. `crashed` says that the
    worker before this one crashed.
    """
    log_to_stderr(config.log_format)
    stop = _stop_at_signals(config, slot)
    _die_with(parent)
    os.nice(_NICENESS)
    if core is not None:
        pin_to(core)
    if bind:
        host, port = parse_bind(bind)
        config = replace(config, host=host, port=port)
    # The parent has prepared both.
    database.open_database(config.database, file)
    work(config.with_keys(create=False), stop, partial(beat, lock), slot=slot, crashed=crashed)
    sys.stdout.flush()
    os._exit(0)  # do not wait for threads that wait for a receiver


def _stop_at_signals(config: Config, slot: int = 0) -> threading.Event:
    stop = threading.Event()

    def end(*_signal: object) -> None:
        stop.set()
        wakeup.interrupt(config.data_dir, slot)  # the worker may be waiting for its next delivery

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop


def _die_with(parent: int) -> None:
    """Kill this process when its parent dies; end it now if that has happened already.

    A stopped process ends by no other signal than SIGKILL, and keeps its lock until then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
