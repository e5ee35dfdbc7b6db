"""Store the alerts of many requests in one transaction.

Waiting for the disk is most of what storing an alert costs, and one wait serves all requests.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock

from peewee import InterfaceError, OperationalError

from delivery import outbox
from delivery.alerts.received import IngestResult, ReceivedAlert
from locks import file_lock

MAX_BATCH_SIZE = 500  # alerts

InTransaction = Callable[[list[IngestResult]], None]


@dataclass
class WriteRequest:
    """The alerts of one thread, and their results; `error` is None once these are committed.

    `wakeup` is released when the request is done, or its thread has to lead the next batch.
    """

    received: Sequence[ReceivedAlert]
    now: int
    in_transaction: InTransaction | None
    wakeup: Lock = field(default_factory=Lock)
    done: bool = False
    results: list[IngestResult] = field(default_factory=list)
    error: Exception | None = field(default_factory=lambda: InterfaceError("the process is ending"))


@dataclass
class BatchWriter:
    """Writes the requests of many threads in batches.

    One thread leads: it writes every waiting request, while the next ones queue. `on_commit` is
    called after every batch.
    """

    folder: Path
    on_commit: Callable[[], None]
    _queue: deque[WriteRequest] = field(default_factory=deque)
    _guard: Lock = field(default_factory=Lock)
    _busy: bool = False

    def store(
        self,
        received: Sequence[ReceivedAlert],
        now: int,
        in_transaction: InTransaction | None = None,
    ) -> list[IngestResult]:
        """Store alerts by `outbox.store`, and return when they are committed.

        `in_transaction` is called with the results before the commit.

        Raises:
            Exception: whatever `outbox.store`, `in_transaction` or the database raises; nothing
                is stored then.
        """
        request = WriteRequest(received, now, in_transaction)
        request.wakeup.acquire()
        with self._guard:
            self._queue.append(request)
            must_wait = self._busy
            self._busy = True
        if must_wait:
            request.wakeup.acquire()
        if not request.done:
            self._lead(request)
        if request.error:
            raise request.error
        return request.results

    def _lead(self, request: WriteRequest) -> None:
        """Write the next batch, which begins with this request, and wake the next leader."""
        batch: list[WriteRequest] = []
        try:
            with ExitStack() as stack:
                # Take turns with other processes: SQLite's own wait sleeps up to 0.1 s at a time.
                with suppress(OSError):  # without a lock file, SQLite's wait has to do
                    stack.enter_context(file_lock(self.folder / "commits.lock"))
                batch = self._next_batch()
                _write(batch)
            self.on_commit()
        finally:
            for written in batch:
                written.wakeup.release()
            with self._guard:
                if not batch:  # this thread ended while it waited for the lock
                    self._queue.remove(request)
                self._busy = bool(self._queue)
                if self._queue:
                    self._queue[0].wakeup.release()

    def _next_batch(self) -> list[WriteRequest]:
        """Take the next requests that fit into a batch; the first always does."""
        batch: list[WriteRequest] = []
        room = MAX_BATCH_SIZE
        while self._queue and (not batch or len(self._queue[0].received) <= room):
            batch.append(self._queue.popleft())
            room -= len(batch[-1].received)
        return batch


def _write(batch: list[WriteRequest]) -> None:
    """Write a batch; mark each request done, also if this thread is ended by then."""
    try:
        _commit(batch)
    except Exception as error:  # noqa: BLE001 (every request raises it in its own thread)
        # A busy or full database is so for all; any other error may be caused by one request.
        one_by_one = len(batch) > 1 and not isinstance(error, outbox.OutboxFull | OperationalError)
        for request in batch:
            request.error = error
            if one_by_one:
                _write([request])
    finally:
        for request in batch:
            request.done = True


def _commit(batch: list[WriteRequest]) -> None:
    def distribute(results: list[IngestResult]) -> None:
        remaining = iter(results)
        for request in batch:
            request.results = list(islice(remaining, len(request.received)))
            if request.in_transaction:
                request.in_transaction(request.results)

    received = [alert for request in batch for alert in request.received]
    now = max(request.now for request in batch)
    outbox.store(received, now, distribute)
    for request in batch:
        request.error = None
