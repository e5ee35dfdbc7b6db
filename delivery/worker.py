"""The worker: claims due deliveries, sends them, and stores the results.

There may be several at one outbox, each a process with a number. A lock keeps others from having
the same number, so that deliveries found `sending` under it at the start belong to a dead worker.
One thread uses the database, builds messages and decides; a pool of threads sends. Waits follow the
monotonic clock, times in rows the wall clock, and a jump between the two moves the rows.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable

from peewee import DatabaseError

from config import Config
from database import connect, describe_error, relaxed_durability
from delivery import outbox
from delivery.guard import lab
from delivery.guard.exchange import Policy
from delivery.guard.pool import ConnectionPool
from delivery.installation import load_installation
from delivery.outbox import ClaimedMessage
from delivery.outcome import Outcome
from delivery.queue.channel_cache import ChannelCache
from delivery.queue.channel_limits import ChannelLimits
from delivery.queue.crash_marker import CrashMarker
from delivery.queue.failure_log import log_failure
from delivery.queue.inbox import Inbox
from delivery.queue.message_builder import MessageBuilder, PreparedMessage
from delivery.queue.runs import Run, Runs
from delivery.queue.seats import MAX_SEATS, batch_size
from delivery.queue.settlement import FinishedAttempt, settle_message
from delivery.queue.slots import NumberLost, slot_file
from delivery.queue.upkeep import Upkeep
from delivery.secrets.encryption import Keyring
from delivery.sender import Clock, send
from models import db

MIN_WAIT = 0.05  # seconds after a round that could start nothing
BLOCKED_WAIT = 0.2  # seconds while all that is due waits for another worker
RELEASE_MS = 1000  # until a delivery that was claimed and not sent is due again
STOP_SECONDS = 5
CROWD = 32  # claimed messages, from which on other workers help

log = logging.getLogger("tocsin.worker")


class Worker:
    """The state of one worker. `run_once` is one round, `run` repeats it.

    `number` is that among all workers of the installation. `on_crowd` is called while more is due
    than this worker takes at once, so that others help.
    """

    def __init__(
        self,
        config: Config,
        number: int = 0,
        *,
        on_crowd: Callable[[], None] = lambda: None,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
        rng: Callable[[], float] = random.random,
    ):
        self._config = config
        self._number = number
        self._on_crowd = on_crowd
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng
        self._policy = Policy(config.allow, config.ca_file, lab.address(config))
        self._inbox = Inbox(monotonic)
        self._connections = ConnectionPool()
        self._crash_marker = CrashMarker(slot_file(config.data_dir, number, "making"))
        keyring = Keyring(config.encryption_keys, config.keys_file)
        here = load_installation(config)
        self._builder = MessageBuilder(keyring, self._policy, self._crash_marker, clock, here)
        self._upkeep = Upkeep(config, number, self._builder, monotonic, rng)
        self._channels = ChannelCache(keyring)
        self._limits = ChannelLimits(self._channels, monotonic)
        self._runs = Runs(
            self._limits.max_run, self._send, self._is_current, self._inbox.put, monotonic
        )
        self._in_flight: dict[int, ClaimedMessage] = {}  # by id, from the claim to the result
        self._unsent: dict[int, ClaimedMessage] = {}  # in flight, and in no run
        self._unsettled: list[FinishedAttempt] = []
        self._started = 0  # in the last round
        self._round_seconds = 0.0  # that it took
        self._is_blocked = False  # what is due waits for another worker
        self._database_error = ""
        self._connection = None

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Work until `stop` is set, and a few seconds longer for attempts in flight.

        `beat` is called at every round, as a sign of life.
        """
        with contextlib.suppress(NumberLost):
            while not stop.is_set():
                beat()
                self.run_once(1.0)
        self._keep_unsent(self._runs.take_back())
        deadline = self._monotonic() + STOP_SECONDS
        while self._in_flight and self._monotonic() < deadline:
            self._receive(0.2)
            self._settle()
            self._release_unsent()

    def close(self) -> None:
        """Close the files of the worker, which has ended."""
        self._crash_marker.close()

    def wake(self) -> None:
        """End the wait of a round; any thread may call this."""
        self._inbox.wake()

    def begin(self, crashed: bool = False) -> None:
        """Take over the deliveries of an earlier worker of this number, which may have crashed."""
        self._connection = db.connection()
        marker = self._crash_marker
        sent = None if db.is_shared else marker.sent  # by a worker of this machine
        outbox.take_over(self._now(), marker.crashed_on, crashed, sent, self._number)
        marker.record(0)

    def run_once(self, timeout: float) -> int:
        """Store results and send due deliveries; return how many were started.

        Without either, it waits at most `timeout` seconds. It survives a database that fails.

        Raises: NumberLost
        """
        try:
            self._receive(self._wait_seconds(timeout))
            began = self._monotonic()
            connect()  # nothing may be sent from a database that was deleted
            if db.is_shared and db.connection() is not self._connection:
                raise NumberLost
            self._follow_clock()
            self._channels.refresh({run.channel_id for run in self._runs.under_way})
            with relaxed_durability():
                self._settle()
                self._release_unsent()
            self._upkeep.run(self._now())
            with relaxed_durability():
                self._upkeep.run_slices(self._now())
                self._started = self._start(self._claim())
            self._upkeep.note_round()
            self._round_seconds = self._monotonic() - began
            self._database_error = ""
        except DatabaseError as error:
            message = describe_error(error, self._config.database)
            if message != self._database_error:
                log.error("the worker waits for the database: %s", message)
            self._database_error = message
            self._started = 0
        return self._started

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _wait_seconds(self, timeout: float) -> float:
        if self._database_error or self._unsettled:
            return 0.5
        if self._started:
            return 0.0
        timeout = min(timeout, self._upkeep.wait)
        due_in = outbox.next_due(self._now(), self._upkeep.kinds_of_others)
        if due_in is None:
            return timeout
        if due_in == 0 and self._is_blocked:
            return min(timeout, BLOCKED_WAIT)
        waits = self._limits.waits()
        if due_in or not (self._in_flight or waits):
            waits = [due_in / 1000]
        # Otherwise the due deliveries wait for their channels: for a result, or a rate limit.
        return max(MIN_WAIT, min([timeout, *waits]))

    def _follow_clock(self) -> None:
        if jump := self._upkeep.follow_clock(self._now()):
            for message_id, message in self._in_flight.items():
                self._in_flight[message_id] = message.moved(jump)

    def _claim(self) -> list[ClaimedMessage]:
        now = self._now()
        self._is_blocked = False
        free = MAX_SEATS - len(self._runs.under_way)
        # Looking is cheaper than claiming.
        if free <= 0 or outbox.next_due(now, self._upkeep.kinds_of_others) != 0:
            return []
        has_suspect = any(message.is_suspect for message in self._in_flight.values())
        room = self._limits.room(self._runs.under_way)
        for_messages = self._limits.room_for_messages(room)
        claimed = outbox.claim(
            now,
            max_count=batch_size(free),
            room=for_messages.by_channel,
            others=for_messages.others,
            with_suspect=self._upkeep.has_crash_suspects and not has_suspect,
            combines=self._limits.combined(room),
            sender=self._number,
            without_kinds=self._upkeep.kinds_of_others,
        )
        self._is_blocked = not (claimed or self._in_flight or self._limits.waits())
        if len(claimed) >= CROWD or free < MAX_SEATS // 2:
            self._on_crowd()
        return claimed

    def _start(self, claimed: list[ClaimedMessage]) -> int:
        """Send claimed messages, and release those that cannot be sent now."""
        if not claimed:
            return 0
        self._in_flight.update((message.id, message) for message in claimed)
        self._unsent.update((message.id, message) for message in claimed)
        self._channels.refresh({message.channel_id for message in claimed})
        prepared = list(filter(None, map(self._prepare, claimed)))
        self._crash_marker.record_sent(self._in_flight)
        for one in prepared:
            del self._unsent[one.claimed.id]
        unsent = self._runs.start(prepared)
        self._keep_unsent(unsent)
        self._release_unsent()
        return len(prepared) - len(unsent)

    def _prepare(self, claimed: ClaimedMessage) -> PreparedMessage | None:
        channel = self._channels.get(claimed.channel_id)
        if channel is None or not self._limits.may_send(channel):
            return None
        message = self._builder.build(claimed, channel)
        if isinstance(message, Outcome):
            del self._unsent[claimed.id]
            self._inbox.put(FinishedAttempt(claimed.id, channel, message, self._now()))
            return None
        return PreparedMessage(claimed, channel, message)

    def _is_current(self, prepared: PreparedMessage) -> bool:
        return self._channels.get(prepared.claimed.channel_id) is prepared.channel

    def _send(self, prepared: PreparedMessage) -> FinishedAttempt:
        claimed, channel, message = prepared
        started_at = self._now()
        result = send(
            message,
            channel.settings,
            self._policy,
            attempt=claimed.attempt,
            now=self._clock,
            pool=self._connections,
        )
        return FinishedAttempt(claimed.id, channel, result.outcome, started_at, message)

    def _keep_unsent(self, messages: list[PreparedMessage]) -> None:
        self._unsent.update((one.claimed.id, one.claimed) for one in messages)

    def _release_unsent(self) -> None:
        self._keep_unsent(self._runs.take_back_stuck())
        if self._unsent:
            outbox.release_claim(list(self._unsent.values()), self._now() + RELEASE_MS)
            for message_id in self._unsent:
                del self._in_flight[message_id]
            self._unsent = {}

    def _receive(self, timeout: float) -> None:
        """Take finished attempts; wait at most `timeout` seconds for one, or a wake-up.

        More are taken for as long as the last round took. They are kept until they are stored, also
        while the database fails.
        """
        for item in self._inbox.take(timeout, self._round_seconds, self._runs.are_under_way):
            if isinstance(item, Run):
                list(map(self._note, item.finished))
                self._keep_unsent(self._runs.end(item))
            else:
                self._note(item)

    def _note(self, attempt: FinishedAttempt) -> None:
        if message := self._in_flight.get(attempt.message_id):
            self._limits.record(message.channel_id, attempt.outcome)
            self._unsettled.append(attempt)
            log_failure(message, attempt.outcome)

    def _settle(self) -> None:
        if not self._unsettled:
            return
        now = self._now()
        results = []
        unaccepted = []
        for attempt in self._unsettled:
            claimed = self._in_flight[attempt.message_id]
            results += settle_message(claimed, attempt, now, self._rng())
            if attempt.message and not attempt.outcome.good:
                unaccepted.append(PreparedMessage(claimed, attempt.channel, attempt.message))
        with db.atomic():
            outbox.store_bodies(self._builder.new_bodies(unaccepted))
            outbox.settle(results, now)
        for attempt in self._unsettled:
            del self._in_flight[attempt.message_id]
        self._unsettled = []
