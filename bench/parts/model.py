"""A model of Tocsin: how alerts and deliveries wait for cores, the database and receivers.

One transaction writes at a time, whatever the number of processes and machines. With SQLite, it
runs in the process that has it; with PostgreSQL, that process waits for the server, which has
cores of its own.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .events import Action, Events, Process, Servers

MAX_SEATS = 128  # attempts at a time of a sender: delivery/queue/seats.py
CLAIM_LARGE = 256  # messages of a claim while most seats are free
CLAIM_SMALL = 8
MAX_PER_CHANNEL = 4  # seats
MAX_RUN = 256  # messages of one channel for a thread: delivery/queue/channel_limits.py
MAX_BATCH = 500  # alerts of a transaction: delivery/batch_writer.py
MAX_WAITING = 200_000  # deliveries, then alerts are refused: delivery/outbox/ingest.py
RETRY_SECONDS = 5.0  # until a source sends a refused alert again
PER_POST = 50  # alerts
DRAIN_STEP = 0.1  # seconds


@dataclass(frozen=True)
class Costs:
    """Measured microseconds. `claim` and `results` are those of 8 and of 256 deliveries."""

    parse: float  # an alert, outside its transaction
    store: float  # an alert with its deliveries, in its transaction
    claim: tuple[float, float]
    results: tuple[float, float]
    send: float  # CPU of a delivery in a sender, outside transactions
    look: float  # CPU of a sender that looks for what is due, once a round
    durable_commit: float  # one that waits for the disk
    relaxed_commit: float


@dataclass(frozen=True)
class SetUp:
    """Machines with equal processes on one database."""

    name: str
    machines: int
    cores: int  # of each machine
    web: int  # processes of each machine
    senders: int  # processes of each machine
    is_shared: bool  # the database is on a server of its own
    channels: int
    latency: Callable[[random.Random], float]  # seconds until a receiver responds


@dataclass
class Counts:
    """What has happened; delays are seconds from the arrival of an alert to the response."""

    arrived: int = 0
    at_sources: int = 0  # deliveries of alerts that are not stored yet
    pending: int = 0
    in_flight: int = 0
    delivered: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """The deliveries that have arrived and are not delivered."""
        return self.at_sources + self.pending + self.in_flight


class Model:
    """An installation at which alerts arrive, each for a number of channels."""

    def __init__(self, setup: SetUp, costs: Costs, per_alert: int, seed: int = 1):
        self.setup = setup
        self.costs = costs
        self.per_alert = per_alert
        self.random = random.Random(seed)
        self.events = Events()
        self.counts = Counts()
        self.outbox: deque[list[float]] = deque()  # times of arrival, with their number
        self._writer = Servers(self.events, 1)
        self.senders: list[Sender] = []
        self._web: list[Web] = []
        for _ in range(setup.machines):
            cores = Servers(self.events, setup.cores)
            turns = Servers(self.events, 1)
            self._web += [Web(self, cores, turns) for _ in range(setup.web)]
            self.senders += [Sender(self, cores) for _ in range(setup.senders)]

    def run(self, alerts_per_second: float, seconds: float) -> Counts:
        """Let alerts arrive for some seconds; return the counts at their end.

        Each post arrives at a random time of an interval of its own, so that a short run has as
        many as a long one.
        """
        interval = PER_POST / alerts_per_second

        def begin_interval() -> None:
            self.events.after(self.random.uniform(0, interval), self._arrive)
            self.events.after(interval, begin_interval)

        begin_interval()
        return self.continue_for(seconds)

    def drain(self, alerts: int) -> float:
        """Let alerts arrive at once; return the seconds until all deliveries have arrived."""
        for _ in range(alerts // PER_POST):
            self._arrive()
        while self.counts.waiting:
            self.continue_for(DRAIN_STEP)
        return max(self.counts.delays)

    def continue_for(self, seconds: float) -> Counts:
        """Let the same alerts arrive for some seconds more; return the counts at their end."""
        self.events.run_until(self.events.now + seconds)
        return self.counts

    def _arrive(self) -> None:
        self.counts.arrived += PER_POST * self.per_alert
        self.counts.at_sources += PER_POST * self.per_alert
        self.random.choice(self._web).receive(self.events.now)

    def write(self, process: Process, microseconds: float, then: Action) -> None:
        """Run a transaction, when those before it have ended."""

        def end() -> None:
            self._writer.release()
            then()

        def begin() -> None:
            if self.setup.is_shared:
                self.events.after(microseconds / 1e6, end)
            else:
                process.compute(microseconds / 1e6, end, first=True)

        self._writer.acquire(begin)

    def add_pending(self, arrived_at: float) -> None:
        """Store the deliveries of a post."""
        count = PER_POST * self.per_alert
        self.counts.at_sources -= count
        self.counts.pending += count
        self.outbox.append([arrived_at, count])

    def take_pending(self, max_count: int) -> list[float]:
        """Claim the oldest deliveries; return the times of their arrival."""
        taken: list[float] = []
        while self.outbox and len(taken) < max_count:
            arrived_at, left = self.outbox[0]
            count = min(int(left), max_count - len(taken))
            taken += [arrived_at] * count
            self.outbox[0][1] -= count
            if not self.outbox[0][1]:
                self.outbox.popleft()
        self.counts.pending -= len(taken)
        self.counts.in_flight += len(taken)
        return taken


class Web:
    """A web process, which stores the posts that wait in one transaction.

    The web processes of a machine take turns before they wait for the database.
    """

    def __init__(self, model: Model, cores: Servers, turns: Servers):
        self._model = model
        self._turns = turns
        self._process = Process(model.events, cores)
        self._queue: deque[float] = deque()
        self._is_writing = False

    def receive(self, arrived_at: float) -> None:
        """Read a post, and queue it."""

        def queue() -> None:
            self._queue.append(arrived_at)
            if not self._is_writing:
                self._write()

        self._process.compute(PER_POST * self._model.costs.parse / 1e6, queue)

    def _write(self) -> None:
        self._is_writing = bool(self._queue)
        if self._model.counts.pending >= MAX_WAITING:
            self._is_writing = True
            self._model.events.after(RETRY_SECONDS, self._write)
        elif self._queue:
            self._turns.acquire(self._write_batch)

    def _write_batch(self) -> None:
        model = self._model
        size = min(len(self._queue), MAX_BATCH // PER_POST)
        batch = [self._queue.popleft() for _ in range(size)]

        def end() -> None:
            self._turns.release()
            for arrived_at in batch:
                model.add_pending(arrived_at)
            for sender in model.senders:
                sender.wake()
            self._write()

        cost = size * PER_POST * model.costs.store + model.costs.durable_commit
        model.write(self._process, cost, end)


class Sender:
    """A process that claims deliveries, sends them with a thread each, and stores the results."""

    def __init__(self, model: Model, cores: Servers):
        self._model = model
        self._process = Process(model.events, cores)
        self._seats = Servers(model.events, MAX_SEATS)
        self._under_way = 0
        self._unsettled = 0
        self._is_busy = False  # its thread that uses the database

    def wake(self) -> None:
        """Begin a round unless one is under way, when the threads before this one had a turn."""
        if not self._is_busy:
            self._is_busy = True
            self._process.compute(self._model.costs.look / 1e6, self._settle)

    def _settle(self) -> None:
        count = self._unsettled
        self._unsettled = 0
        if count:
            cost = interpolate(self._model.costs.results, count)
            cost += self._model.costs.relaxed_commit
            self._model.write(self._process, cost, self._claim)
        else:
            self._claim()

    def _claim(self) -> None:
        free = MAX_SEATS - self._under_way
        size = CLAIM_LARGE if free > MAX_SEATS // 2 else min(free, CLAIM_SMALL)
        room = MAX_PER_CHANNEL * self._model.setup.channels - self._under_way
        size = min(size, room * MAX_RUN)
        if size <= 0 or not self._model.outbox:
            self._end_round()
            return
        cost = interpolate(self._model.costs.claim, min(size, self._model.counts.pending))
        cost += self._model.costs.relaxed_commit
        self._model.write(self._process, cost, lambda: self._start(size))

    def _start(self, size: int) -> None:
        """Divide claimed deliveries into runs, each of which one thread sends."""
        taken = self._model.take_pending(size)
        each = min(MAX_RUN, math.ceil(len(taken) / self._model.setup.channels))
        runs = math.ceil(len(taken) / each) if taken else 0
        for number in range(runs):
            run = taken[number::runs]
            self._under_way += 1
            self._seats.acquire(lambda run=run: self._send(run, len(run)))
        self._end_round()

    def _end_round(self) -> None:
        self._is_busy = False
        free = MAX_SEATS - self._under_way
        room = MAX_PER_CHANNEL * self._model.setup.channels - self._under_way
        if self._unsettled or (min(free, room) > 0 and self._model.outbox):
            self.wake()

    def _send(self, run: list[float], size: int) -> None:
        """Send the last of a run; the results of a run are stored at its end."""
        model = self._model

        def wait() -> None:
            model.events.after(model.setup.latency(model.random), end)

        def end() -> None:
            model.counts.in_flight -= 1
            model.counts.delivered += 1
            model.counts.delays.append(model.events.now - run.pop())
            if run:
                self._send(run, size)
            else:
                self._end_run(size)

        self._process.compute(model.costs.send / 1e6, wait)

    def _end_run(self, size: int) -> None:
        self._under_way -= 1
        self._unsettled += size
        self._seats.release()
        self.wake()


def interpolate(costs: tuple[float, float], count: int) -> float:
    """Return the microseconds of a transaction, from those of a small and of a large one."""
    small, large = costs
    each = (large - small) / (CLAIM_LARGE - CLAIM_SMALL)
    return max(small / CLAIM_SMALL, small + each * (count - CLAIM_SMALL))
