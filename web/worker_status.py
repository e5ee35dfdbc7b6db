"""Whether a worker drains the outbox, for the pages, the health checks and the metrics."""

import contextlib
import time
from typing import NamedTuple

from peewee import DatabaseError

from clock import now_ms
from delivery import outbox
from delivery.queue import heartbeat
from models import db
from web.filters import ago
from web.services import services


class WorkerStatus(NamedTuple):
    """The seconds since the worker's last sign of life, and a sentence if it is missing.

    `silent` is None if no worker has ever run.
    """

    silent: float | None
    problem: str


def worker_status() -> WorkerStatus:
    """Return the status of the workers; needs no database, unless machines share it."""
    config = services().config
    if db.is_shared and _has_leader():
        return WorkerStatus(0.0, "")
    silent = heartbeat.seconds_silent(config.data_dir, time.time())
    return WorkerStatus(silent, _problem(silent, runs_here=bool(config.senders)))


def _has_leader() -> bool:
    with contextlib.suppress(DatabaseError):
        return db.has_leader()
    return False


def _problem(silent: float | None, *, runs_here: bool) -> str:
    if silent is not None and silent <= heartbeat.MAX_SILENCE:
        return ""
    place = "database" if db.is_shared else "data folder"
    if not runs_here:
        return (
            "The worker is switched off here (--no-worker or TOCSIN_SENDERS=0), and no other "
            f"worker runs on this {place}. Start one with: tocsin worker."
        )
    if silent is None:
        return "The worker has not started yet."
    return (
        f"The worker has not responded for {silent:.0f} s. "
        f"It is replaced after {heartbeat.REPLACED_AFTER:.0f} s; "
        "if this message stays, look into Tocsin's log."
    )


def waiting_notice() -> str:
    """Return when the oldest waiting delivery was due, or "" if none is due."""
    now = now_ms()
    try:
        age = outbox.oldest_due_age(now)
    except DatabaseError:  # the page already says so
        return ""
    return f"The oldest delivery was due {ago(now - age, now)}." if age else ""
