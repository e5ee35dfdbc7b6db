"""A simulation of events in the order of their times, and of servers with queues."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable

Action = Callable[[], None]


class Events:
    """Actions at times, in seconds. Two of the same time run in the order they were added."""

    def __init__(self) -> None:
        self.now = 0.0
        self._actions: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, action: Action) -> None:
        """Run an action some seconds from now."""
        heapq.heappush(self._actions, (self.now + seconds, next(self._numbers), action))

    def run_until(self, end: float) -> None:
        """Run every action up to a time, which is the time then."""
        while self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()
        self.now = end


class Servers:
    """A number of equal servers with one queue: cores, a lock, the threads of a pool."""

    def __init__(self, events: Events, count: int):
        self._events = events
        self._free = count
        self._queue: deque[Action] = deque()

    @property
    def free(self) -> int:
        """The number of servers that have nothing to do."""
        return self._free

    def acquire(self, action: Action, first: bool = False) -> None:
        """Run an action as soon as it has a server; `first` puts it before the others."""
        if self._free:
            self._free -= 1
            action()
        elif first:
            self._queue.appendleft(action)
        else:
            self._queue.append(action)

    def release(self) -> None:
        """Give the server to the next action."""
        if self._queue:
            self._queue.popleft()()
        else:
            self._free += 1

    def serve(self, seconds: float, then: Action, first: bool = False) -> None:
        """Hold a server for some seconds, and run an action afterwards."""

        def end() -> None:
            self.release()
            then()

        self.acquire(lambda: self._events.after(seconds, end), first)


class Process:
    """A process of Python: one of its threads runs at a time, on one of the machine's cores."""

    def __init__(self, events: Events, cores: Servers):
        self._interpreter = Servers(events, 1)
        self._cores = cores

    def compute(self, seconds: float, then: Action, first: bool = False) -> None:
        """Use a core for some seconds, and run an action afterwards."""

        def end() -> None:
            self._interpreter.release()
            then()

        self._interpreter.acquire(lambda: self._cores.serve(seconds, end), first)
