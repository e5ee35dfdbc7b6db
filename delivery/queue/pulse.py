"""The heartbeat for a monitor outside: it stays away when Tocsin does not deliver.

The leading worker calls TOCSIN_HEARTBEAT_URL every minute while its loop runs, the database can be
written, and no delivery is overdue. `delivery.queue.heartbeat` is another one: the sign of life of
each worker for its supervisor.
"""

import logging
from collections.abc import Callable

import msgspec

from clock import MINUTE
from delivery import outbox
from delivery.guard.exchange import Policy
from delivery.guard.url import parse_url
from delivery.message import Message
from delivery.outcome import Outcome
from delivery.queue.background import run_in_thread
from delivery.sender import Clock, send, unsent
from delivery.settings import Settings
from models import Fact

INTERVAL = 60.0  # seconds
MAX_OVERDUE = 5 * MINUTE
FACT = "heartbeat"

log = logging.getLogger("tocsin.worker")


class PulseState(msgspec.Struct):
    """What became of the heartbeat: the last check, the last success, and a problem since.

    Times are milliseconds since the epoch, 0 for never. `problem` is a sentence, or empty.
    """

    checked_at: int = 0
    accepted_at: int = 0
    problem: str = ""


def last_state() -> PulseState:
    """Return the stored state of the heartbeat."""
    fact = Fact.get_or_none(Fact.name == FACT)
    return read_state(fact.value if fact else "")


def read_state(text: str) -> PulseState:
    """Return the state in the value of a fact; a damaged one counts for nothing."""
    try:
        return msgspec.json.decode(text, type=PulseState)
    except msgspec.DecodeError:
        return PulseState()


class Pulse:
    """Calls the URL once a minute; call `run` often, in the thread that uses the database."""

    def __init__(
        self,
        url: str,
        policy: Policy,
        monotonic: Clock,
        run_task: Callable[[Callable[[], None]], None] = run_in_thread,
    ):
        self._url = url
        self._policy = policy
        self._monotonic = monotonic
        self.run_task = run_task
        self._outcome: Outcome | None = None  # not stored yet
        self._next_at = float("-inf")

    def run(self, now: int) -> None:
        """Store what has become of a call, or make the next one if it is time."""
        if not self._url:
            return
        if self._outcome:
            self._note(self._outcome, now)
            self._outcome = None
        if self._monotonic() < self._next_at:
            return
        self._next_at = self._monotonic() + INTERVAL
        state = last_state()
        state.checked_at = now
        overdue = outbox.oldest_due_age(now)
        if overdue > MAX_OVERDUE:
            minutes = overdue // MINUTE
            self._store(state, f"The oldest delivery has been due for {minutes} minutes.")
            return
        self._store(state, state.problem)  # nothing is sent if this fails
        self.run_task(self._call)

    def _note(self, outcome: Outcome, now: int) -> None:
        state = last_state()
        if outcome.good:
            state.accepted_at = now
        self._store(state, "" if outcome.good else outcome.says)

    def _store(self, state: PulseState, problem: str) -> None:
        """Store the state, and log a problem when it begins and when it ends."""
        if problem and not state.problem:
            log.warning("no heartbeat: %s", problem)
        elif state.problem and not problem:
            log.info("the heartbeat is accepted again")
        state.problem = problem
        Fact.store(FACT, msgspec.json.encode(state).decode())

    def _call(self) -> None:
        settings = Settings(url=self._url, method="GET")
        try:
            message = Message("heartbeat", "GET", parse_url(self._url), b"")
            self._outcome = send(message, settings, self._policy).outcome
        except Exception as error:  # noqa: BLE001 (no URL may end the worker)
            self._outcome = unsent(error, settings, self._policy)
