"""The worker processes of an installation: their numbers, and their files in the data folder.

On SQLite, all workers share one data folder, and a supervisor gives each its number. On PostgreSQL,
they run on any number of machines, and each takes the lowest number that is free there.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from config import Config
from locks import file_lock
from models import db


class NumberLost(Exception):
    """The connection that held the number of a worker has ended: another worker may have it."""


def slot_file(folder: Path, number: int, suffix: str) -> Path:
    """Return the path of a file of a worker: `worker.lock`, `worker-1.lock` and so on."""
    name = f"worker-{number}" if number else "worker"
    return folder / f"{name}.{suffix}"


def take_number(slot: int) -> int:
    """Return the number of this worker in its installation; `slot` is that in its data folder.

    On PostgreSQL, the connection of this thread holds the number until it ends.
    """
    if not db.is_shared:
        return slot
    return next(filter(db.take_number, itertools.count()))


@contextlib.contextmanager
def vacant(config: Config, number: int) -> Iterator[bool]:
    """Yield True if no worker has a number, and none can be started with it until the end."""
    with contextlib.ExitStack() as stack:
        yield _reserve(stack, config, number)


def _reserve(stack: contextlib.ExitStack, config: Config, number: int) -> bool:
    if db.is_shared:
        if db.take_number(number):
            stack.callback(db.free_number, number)
            return True
        return False
    if number < config.senders:  # a supervisor starts it again
        return False
    with contextlib.suppress(OSError):
        stack.enter_context(file_lock(slot_file(config.data_dir, number, "lock"), wait=False))
        return True
    return False
