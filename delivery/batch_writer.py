"""Commits for many at once. Waiting for the disk is most of what storing an alert costs, and one wait serves all who wait."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from itertools import islice
from pathlib import Path
from threading import Lock

from peewee import InterfaceError, OperationalError

from delivery import outbox
from delivery.alerts.routing import IngestResult, ReceivedAlert
from models import db

MOST_TOGETHER = 500

Also = Callable[[list[IngestResult]], None]


@dataclass
class WriteRequest:
    """What one thread hands in, and what becomes of it. It is `woken` when it is done, or has to lead."""

    incoming: Sequence[ReceivedAlert]
    now: int
    also: Also | None
    woken: Lock = field(default_factory=Lock)
    done: bool = False
    stored: list[IngestResult] | None = None
    error: Exception | None = None


class BatchWriter:
    """Whoever comes first writes what all have handed in, in one transaction, while the next gather behind; `written` is
    called after every commit.
    """

    def __init__(self, folder: Path, written: Callable[[], None] = lambda: None):
        self._queue: deque[WriteRequest] = deque()
        self._guard, self._busy = Lock(), False
        self._turns = folder / "commits.lock"
        self._written = written

    def store(
        self, incoming: Sequence[ReceivedAlert], now: int, also: Also | None = None
    ) -> list[IngestResult]:
        """Stores them through `outbox.store`, all or nothing, and calls `also` in the same transaction. Returns after the
        commit. Raises what these two raise, and whatever the database says.
        """
        post = WriteRequest(incoming, now, also)
        post.woken.acquire()
        with self._guard:
            self._queue.append(post)
            first, self._busy = not self._busy, True
        if first or not (post.woken.acquire() and post.done):
            self._lead(post)
        if post.stored is None:
            raise post.error or InterfaceError("the process is ending")
        return post.stored

    def _lead(self, post: WriteRequest) -> None:
        """Writes this one, the first in the queue, and all who wait; then the first of those who have come meanwhile leads."""
        group: list[WriteRequest] = []
        try:
            with self._turn():
                group = self._gathered()
                _write(group)
            self._written()
        finally:
            for other in group:
                other.woken.release()
            with self._guard:
                if not group:  # ended while it waited for its turn
                    self._queue.remove(post)
                self._busy = bool(self._queue)
                if self._queue:
                    self._queue[0].woken.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Our turn among the processes. SQLite's own wait naps, up to 0.1 s at a time; who waits for a file lock is woken."""
        turn = None
        with suppress(OSError):  # where no file can be made or locked, SQLite's wait has to do
            turn = os.open(self._turns, os.O_RDONLY | os.O_CREAT, 0o600)
            flock(turn, LOCK_EX)
        try:
            yield
        finally:
            if turn is not None:
                os.close(turn)

    def _gathered(self) -> list[WriteRequest]:
        """The next that fit into one transaction; the first always does."""
        group: list[WriteRequest] = []
        room = MOST_TOGETHER
        while self._queue and (not group or len(self._queue[0].incoming) <= room):
            group.append(self._queue.popleft())
            room -= len(group[-1].incoming)
        return group


def _write(group: list[WriteRequest]) -> None:
    """Writes all of them, or tells each why not; also when this thread is ended in the middle, nobody waits for ever."""
    try:
        _commit(group)
    except Exception as error:  # noqa: BLE001 (each hears of it in its own thread)
        # A database that is busy or full is so for all of them; anything else may be the fault of one.
        alone = len(group) > 1 and not isinstance(error, outbox.OutboxFull | OperationalError)
        for post in group:
            post.error = error
            if alone:
                _write([post])
    finally:
        for post in group:
            post.done = True


def _commit(group: list[WriteRequest]) -> None:
    with db.atomic():
        stored = iter(
            outbox.store(
                [one for post in group for one in post.incoming], max(post.now for post in group)
            )
        )
        parts = [list(islice(stored, len(post.incoming))) for post in group]
        for post, part in zip(group, parts, strict=True):
            if post.also:
                post.also(part)
    for post, part in zip(group, parts, strict=True):
        post.stored = part
