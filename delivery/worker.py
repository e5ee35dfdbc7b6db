"""The worker: takes what is due, sends it, and writes down what came of it. One process, alone at the outbox.

One thread owns the database, makes the messages and decides; a pool of others sends and hands outcomes back. Whoever finds a
delivery `sending` at the start knows that its worker is dead, because a lock on a file lets in one at a time and goes with
the process. Waits follow the monotonic clock, times of rows the other one, and a jump between the two moves the rows.
"""

import contextlib
import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from peewee import DatabaseError

from config import Config
from database import describe_error, relaxed_durability
from delivery import outbox, retry
from delivery.alerts.routing import PROBE_INTERVAL
from delivery.event import Event
from delivery.guard import lab
from delivery.guard.exchange import Policy
from delivery.guard.pool import ConnectionPool
from delivery.kinds import kinds
from delivery.message import Message, MessageError, build
from delivery.outbox import ClaimedDelivery, Next, Settled
from delivery.outcome import Outcome, Verdict
from delivery.queue import wakeup
from delivery.queue.worker_lock import CrashMarker, alone
from delivery.rate_limit import RateLimiter
from delivery.redaction import format_traceback_without_message, mask_for
from delivery.secrets.encryption import DecryptionError, Keyring
from delivery.sender import send, unsent
from delivery.settings import Settings, read_settings
from models import Channel, ChannelState, DeliveryState, db

MOST_AT_ONCE = 96
MOST_OF_A_CHANNEL = 4
AT_A_TIME = 4  # short turns: what has arrived is soon written down
STRIKES = 2
SHORTEST_WAIT = 0.05  # whatever is due and cannot be taken, no turn follows a fruitless one at once
JUMP_SECONDS = 30
SEALED = "gAAAA"  # how every Fernet token begins, and no JSON
_UNREACHABLE = frozenset({"timeout_connect", "timeout_total", "connect_refused", "dns_timeout"})

log = logging.getLogger("tocsin.worker")


@dataclass(frozen=True)
class CachedChannel:
    """A channel as the worker knows it: opened, with what its retries and its vendor's pace are; `stamp` tells an old one."""

    settings: Settings
    problem: str
    steps: tuple[int, ...]
    rate_limit: tuple[tuple[int, float], ...]
    state: str
    config_hash: str
    stamp: tuple

    @property
    def place(self) -> tuple:
        """What the vendor's pace counts for."""
        return self.settings.kind, self.settings.url, self.settings.options


@dataclass(frozen=True)
class Ended:
    """A delivery that was sent, or could not even be made."""

    claimed: ClaimedDelivery
    line: CachedChannel
    outcome: Outcome
    at: int


class Worker:
    """Everything of one worker. `turn` is one round; `run` goes on until it is stopped. Clocks and chance are passed in."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ):
        self._config, self._clock, self._steady, self._chance = config, clock, steady, chance
        self._keyring = Keyring(config.encryption_keys, config.keys_file)
        self._policy = Policy(config.allow, config.ca_file, lab.address(config))
        self._inbox: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="send")
        self._kept, self._pacer, self._making = (
            ConnectionPool(),
            RateLimiter(),
            CrashMarker(config.data_dir / "worker.making"),
        )
        self._lines: dict[int, CachedChannel] = {}
        self._taken: Counter[int] = Counter()
        self._strikes: Counter[int] = Counter()
        self._unsettled: list[Ended] = []
        self._early: list[ClaimedDelivery] = []
        self._suspects = self._shifted = 0
        self._wary = True  # as long as there may be suspects: to look for them takes long
        self._begun = 0
        self._offset, self._swept, self._newest = clock() - steady(), -1e9, 0
        self._trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, and a few seconds longer for what is under way."""
        wakeup.listen(self._config.data_dir, lambda: self._inbox.put(None))
        while not stop.is_set():
            self.run_once(1.0)
        deadline = self._steady() + 5
        while self._taken.total() and self._steady() < deadline:
            self._note(self._ended(0.2))
            self._settle()

    def begin(self, crashed: bool = False) -> None:
        """Takes over what an earlier worker left in the middle; whether that one ended by a fault of its own."""
        outbox.take_over(self._now(), self._making.left, crashed)
        self._wary = outbox.suspected()
        self._making.note(0)

    def run_once(self, patience: float) -> int:
        """One round: settles what has ended, takes what is due; waits at most `patience` seconds when there is nothing.

        How many deliveries it began. A database that cannot be used just now is waited for.
        """
        try:
            self._note(self._ended(self._wait(patience)))
            self._watch_the_clock()
            self._settle()
            self._give_back()
            self._housekeeping()
            self._begun = self._start(self._claimed())
            self._trouble = ""
            return self._begun
        except DatabaseError as error:
            if (words := describe_error(error, self._config.database)) != self._trouble:
                log.error("the worker waits for the database: %s", words)
            self._trouble, self._begun = words, 0
            return 0

    # --- what is due ---------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _wait(self, patience: float) -> float:
        if self._trouble or self._unsettled:
            return 0.5
        if self._begun:
            return 0.0
        due = outbox.next_due(self._now())
        paced = [
            wait
            for line in self._lines.values()
            if (wait := self._pacer.look(line.place, line.rate_limit, self._steady()))
        ]
        if due == 0 and self._taken.total() >= MOST_AT_ONCE:
            return patience
        # A channel that is full, or must wait for its vendor, has rows that are due and cannot be taken.
        soon = min(
            [patience, *paced]
            if due == 0 and (self._taken or paced)
            else [patience, (due or 0) / 1000]
        )
        return max(SHORTEST_WAIT, soon) if due is not None else patience

    def _watch_the_clock(self) -> None:
        """Before anything is decided by it: what waits moves with a clock that jumps."""
        jump = self._clock() - self._steady() - self._offset
        if abs(jump) > JUMP_SECONDS:
            log.warning("the clock has jumped by %d seconds: what waits moves with it", jump)
            outbox.shift(int(jump * 1000), self._now(), self._newest)
            self._offset += jump
            self._shifted += int(jump * 1000)

    def _housekeeping(self) -> None:
        self._newest = outbox.newest()
        if self._steady() - self._swept >= 1:
            self._swept = self._steady()
            outbox.sweep(self._now())
            outbox.close_overdue(self._now())
            self._wary = self._wary and outbox.suspected()

    def _claimed(self) -> list[ClaimedDelivery]:
        free = MOST_AT_ONCE - self._taken.total()
        # Whoever rings may have brought nothing that is due; to look is cheaper than to claim.
        if free <= 0 or self._unsettled or self._early or outbox.next_due(self._now()) != 0:
            return []
        taken, slow = (
            dict(self._taken),
            {channel for channel, count in self._strikes.items() if count >= STRIKES},
        )
        for channel, line in self._lines.items():
            if line.rate_limit:
                slow.add(channel)
                if self._pacer.look(line.place, line.rate_limit, self._steady()):
                    taken[channel] = MOST_OF_A_CHANNEL
        with relaxed_durability():
            suspects = 1 - self._suspects if self._wary else 0
            return outbox.claim(
                self._now(), taken, MOST_OF_A_CHANNEL, min(free, AT_A_TIME), slow, suspects
            )

    # --- out it goes -----------------------------------------------------------------------------------------------------

    def _start(self, claimed: list[ClaimedDelivery]) -> int:
        for one in claimed:
            self._count(one, 1)
        try:
            self._know({one.channel for one in claimed})
        except DatabaseError:
            self._early += claimed
            raise
        made, bodies = self._messages(claimed)
        try:
            with relaxed_durability():
                outbox.fix_bodies(bodies)
        except DatabaseError:
            self._early += [one for one, _, _ in made]
            raise
        return len(claimed) if self._submit(made) else 0

    def _messages(
        self, claimed: list[ClaimedDelivery]
    ) -> tuple[list[tuple[ClaimedDelivery, CachedChannel, Message]], list[tuple[str, int]]]:
        """What can be sent of it, and the bodies that must be stored first; the rest has ended, or goes back."""
        made, bodies = [], []
        for one in claimed:
            line = self._lines.get(one.channel)
            if line is None:  # deleted just now, and its deliveries with it
                self._count(one, -1)
                continue
            if self._pacer.wait(line.place, line.rate_limit, self._steady()):
                self._early.append(one)
                continue
            message = self._made(one, line)
            if isinstance(message, Outcome):
                self._inbox.put(
                    Ended(
                        replace(one, expires_at=one.expires_at - self._shifted),
                        line,
                        message,
                        self._now(),
                    )
                )
                continue
            if one.body is None:
                bodies.append((self._stored(one, line, message), one.id))
            made.append((one, line, message))
        return made, bodies

    def _submit(self, made: list[tuple[ClaimedDelivery, CachedChannel, Message]]) -> bool:
        """Hands all to the pool; whether it took them."""
        for number, (one, line, message) in enumerate(made):
            try:
                self._pool.submit(
                    self._send,
                    replace(one, expires_at=one.expires_at - self._shifted),
                    line,
                    message,
                )
            except RuntimeError as error:  # no further thread may begin just now
                log.error("no thread to send with: %s", format_traceback_without_message(error))
                self._early += [other for other, _, _ in made[number:]]
                return False
        return True

    def _count(self, one: ClaimedDelivery, by: int) -> None:
        """What is under way of a channel, and how many suspects."""
        self._taken[one.channel] += by
        self._suspects += by * one.suspect

    def _give_back(self) -> None:
        """What was claimed too early: its vendor takes no more just now, or its body could not be stored."""
        if self._early:
            with relaxed_durability():
                outbox.release_claim(self._early, self._now() + 1000, "It waits for its turn.")
            for one in self._early:
                self._count(one, -1)
            self._early = []

    def _made(self, one: ClaimedDelivery, line: CachedChannel) -> Message | Outcome:
        """The message; an outcome when none can be made. Its number is noted meanwhile: whatever ends this process now, the
        next one knows because of what.
        """
        self._making.note(one.id)
        try:
            if line.problem:
                raise MessageError(line.problem)
            event = Event(one.alert, one.id, one.created_at, one.repeated)
            return build(line.settings, event, at=self._now(), fixed=self._fixed(one))
        except Exception as error:  # noqa: BLE001 (no channel and no alert may end the worker)
            outcome = unsent(error, line.settings, self._policy, self._clock)
            # A row that cannot be read may be mended by a key that is put back.
            return replace(outcome, verdict=Verdict.RETRY) if line.problem else outcome
        finally:
            self._making.note(0)

    def _stored(self, one: ClaimedDelivery, line: CachedChannel, message: Message) -> str:
        """The body as it is kept for later attempts: sealed, when a secret of the channel stands in it."""
        text = message.body.decode("utf-8", "replace")
        return (
            self._keyring.encrypt(f"body {one.id}", {"body": text})
            if mask_for(line.settings)(text) != text
            else text
        )

    def _fixed(self, one: ClaimedDelivery) -> str | None:
        if one.body is None or not one.body.startswith(SEALED):
            return one.body
        with contextlib.suppress(DecryptionError):
            return str(self._keyring.decrypt(f"body {one.id}", one.body).get("body"))
        return None

    def _send(self, one: ClaimedDelivery, line: CachedChannel, message: Message) -> None:
        at = self._now()
        result = send(
            message,
            line.settings,
            self._policy,
            attempt=one.attempt,
            now=self._clock,
            pool=self._kept,
        )
        self._inbox.put(Ended(one, line, result.outcome, at))

    def _know(self, channels: set[int]) -> None:
        """Opens channels that are new or were changed; what is sealed is opened once, not for each delivery."""
        if not channels:
            return
        stamps = Channel.select(
            Channel.id, Channel.version, Channel.updated_at, Channel.state
        ).where(Channel.id << channels)
        rows: Any = stamps.tuples()
        for stamp in list(rows):
            known = self._lines.get(stamp[0])
            if (known is None or known.problem or known.stamp != stamp) and (
                row := Channel.find(stamp[0])
            ):
                self._lines[stamp[0]] = self._opened(row, stamp)

    def _opened(self, row: Channel, stamp: tuple) -> CachedChannel:
        settings, problem = read_settings(row, self._keyring)
        kind = kinds().get(settings.kind)
        try:
            steps = retry.parse_steps(row.retries)
        except ValueError:
            steps = retry.SCHEDULE
        return CachedChannel(
            settings,
            problem,
            steps,
            kind.rate_limit if kind else (),
            row.state,
            row.config_hash,
            stamp,
        )

    # --- what came of it ---------------------------------------------------------------------------------------------------

    def _ended(self, patience: float) -> list[Ended]:
        """What has ended; waits for the first, not for a second one."""
        found: list[Ended] = []
        with contextlib.suppress(queue.Empty):
            first = self._inbox.get(timeout=patience) if patience > 0 else self._inbox.get_nowait()
            found += [first] if first else []
            while len(found) < 4 * MOST_AT_ONCE:
                more = self._inbox.get_nowait()
                found += [more] if more else []
        return found

    def _note(self, ended: list[Ended]) -> None:
        """Remembers what has ended until it is settled, whatever the database does meanwhile."""
        for one in ended:
            self._count(one.claimed, -1)
            bad = one.outcome.reason in _UNREACHABLE
            self._strikes[one.claimed.channel] = (
                self._strikes[one.claimed.channel] + 1 if bad else 0
            )
        self._unsettled += ended

    def _settle(self) -> None:
        if self._unsettled:
            with relaxed_durability():
                outbox.settle([self._judged(one) for one in self._unsettled], self._now())
            self._unsettled = []

    def _judged(self, one: Ended) -> Settled:
        columns = {
            "channel_id": one.claimed.channel,
            "delivery_id": one.claimed.id,
            "number": one.claimed.attempt,
            "at": one.at,
        }
        row = {**columns, "config_hash": one.line.config_hash, **one.outcome.columns()}
        probe = one.line.state == ChannelState.FAILING
        gone = one.outcome.verdict == Verdict.GONE and not probe
        return Settled(one.claimed, self._next(one, probe), row, one.outcome.good, gone)

    def _next(self, one: Ended, probe: bool) -> Next:
        outcome, now = one.outcome, self._now()
        expires_at = (
            one.claimed.expires_at + self._shifted
        )  # the clock may have jumped since it was claimed
        if outcome.good:
            return Next(
                DeliveryState.DELIVERED
                if outcome.verdict == DeliveryState.DELIVERED
                else DeliveryState.ACCEPTED,
                now,
                outcome.says,
            )
        if probe and now < expires_at:
            return Next(DeliveryState.HELD, now + PROBE_INTERVAL, outcome.says)
        if outcome.verdict != Verdict.RETRY:
            return Next(DeliveryState.FAILED, now, outcome.says)
        wait = retry.wait(
            one.claimed.ended + 1, one.line.steps, outcome.retry_after, self._chance()
        )
        if wait is None:
            return Next(
                DeliveryState.FAILED,
                now,
                f"{outcome.says} That was the last attempt, number {one.claimed.attempt}.",
            )
        due = now + int(wait * 1000)
        if due >= expires_at:
            return Next(
                DeliveryState.FAILED,
                now,
                f"{outcome.says} Its day is over before the next attempt would be due.",
            )
        asked = (
            f" The receiver asked for {outcome.retry_after:g} s."
            if outcome.retry_after is not None
            else ""
        )
        return Next(DeliveryState.PENDING, due, f"{outcome.says}{asked}")


def work(config: Config, stop: threading.Event, crashed: bool = False) -> None:
    """Works on the installation's outbox until `stop` is set; who starts it knows whether the worker before it crashed."""
    if not alone(config.data_dir, stop):
        return
    db.connect(reuse_if_open=True)
    try:
        worker = None
        while worker is None and not stop.is_set():
            worker = _begun(config, stop, crashed)
        if worker:
            worker.run(stop)
    except Exception as error:
        log.critical("the worker ends: %s", format_traceback_without_message(error))
        raise


def _begun(config: Config, stop: threading.Event, crashed: bool) -> Worker | None:
    """A worker that has taken over; None while the database cannot be used."""
    try:
        worker = Worker(config)
        worker.begin(crashed)
        return worker
    except DatabaseError as error:
        log.error("the worker cannot begin yet: %s", describe_error(error, config.database))
        stop.wait(0.5)
        return None
