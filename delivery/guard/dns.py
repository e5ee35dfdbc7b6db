"""Resolve host names within the deadline.

`getaddrinfo` cannot be interrupted, so it runs in threads, whose number is bounded. One lookup of
a name runs at a time, which all exchanges with that name share: a dead name holds one thread. The
more lookups run, the better the record of a name must be to start another: dead names leave
threads to new and slow ones, and these to names that were resolved in time.
"""

import ipaddress
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import Address
from delivery.outcome import Reason, Stage

MAX_RESOLVE_SECONDS = 3.0
MIN_CACHE_SECONDS = 5.0
MAX_CACHE_SECONDS = 60.0
MAX_NAMES = 1024
# Lookups at a time: while so many run, a name with this record starts no other.
MAX_LOOKUPS = 128
MAX_LOOKUPS_NEW_OR_SLOW = 96
MAX_LOOKUPS_DEAD = 32


class Resolved(NamedTuple):
    """The distinct addresses of a host, in the order of the system's resolver."""

    addresses: tuple[Address, ...]
    is_cached: bool = False


@dataclass
class Lookup:
    """A lookup that runs, until `ended` is set. Without an address, `error` says why."""

    began: float
    ended: float | None = None
    addresses: tuple[Address, ...] = ()
    error: str = "the name does not exist"

    @property
    def seconds(self) -> float:
        """The duration of a lookup that has ended."""
        return (self.ended or self.began) - self.began

    def is_fresh(self, now: float) -> bool:
        """Return True if the addresses may still be used.

        Addresses that came too late are kept longer, for the next step of the retry schedule.
        Failures are not kept: a corrected name works at once.
        """
        kept = min(max(MIN_CACHE_SECONDS, 3 * self.seconds), MAX_CACHE_SECONDS)
        return bool(self.addresses) and now < self.began + self.seconds + kept


class Resolver:
    """Looks names up in threads, and keeps the latest results. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self._changed = threading.Condition()
        self._running: dict[str, Lookup] = {}
        self._ended: OrderedDict[str, Lookup] = OrderedDict()  # the latest of each name

    def look_up(self, host: str, seconds: float, use_cache: bool = True) -> Lookup | None:
        """Return a lookup of the host, which has ended unless it takes longer than `seconds`.

        None means that no thread was free in that time. Without the cache, only a lookup that
        runs already is shared.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            lookup = self._changed.wait_for(lambda: self._join(host, use_cache), seconds)
            if lookup:
                left = deadline - time.monotonic()
                self._changed.wait_for(lambda: lookup.ended is not None, left)
        return lookup

    def _join(self, host: str, use_cache: bool) -> Lookup | None:
        """Return the cached or running lookup of a host, or start one if that is possible."""
        last = self._ended.get(host)
        if use_cache and last and last.is_fresh(self.clock()):
            return last
        if running := self._running.get(host):
            return running
        if len(self._running) >= _max_running(last):
            return None
        lookup = Lookup(self.clock())
        threading.Thread(
            target=self._run, args=(host, lookup), daemon=True, name="dns-lookup"
        ).start()
        self._running[host] = lookup
        return lookup

    def _run(self, host: str, lookup: Lookup) -> None:
        try:
            lookup.addresses = _addresses_of(host)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                lookup.error = "the name server did not respond"
        except OSError:
            lookup.error = "this machine has no resources for a lookup"
        except (UnicodeError, ValueError):
            pass  # a name that no server can know
        finally:
            with self._changed:
                lookup.ended = self.clock()
                del self._running[host]
                self._ended.pop(host, None)
                self._ended[host] = lookup
                if len(self._ended) > MAX_NAMES:
                    self._ended.popitem(last=False)
                self._changed.notify_all()


_resolver = Resolver()


def resolve(exchange: Exchange) -> Resolved:
    """Return the addresses of the host of an exchange.

    Waiting for a thread and for the name server takes at most `MAX_RESOLVE_SECONDS`.

    Raises: ExchangeError
    """
    seconds = min(MAX_RESOLVE_SECONDS, exchange.seconds_left())
    asked_at = _resolver.clock()
    lookup = _resolver.look_up(exchange.target.host, seconds, exchange.use_cache)
    if lookup is None:
        detail = "too many lookups of other names are without a response"
        raise _failure(exchange, Reason.DNS_TIMEOUT, detail)
    if lookup.ended is None:
        raise _failure(exchange, Reason.DNS_TIMEOUT, "the name server did not respond")
    if not lookup.addresses:
        raise _failure(exchange, Reason.DNS_FAILURE, lookup.error)
    return Resolved(lookup.addresses, is_cached=lookup.ended < asked_at)


def _failure(exchange: Exchange, reason: Reason, detail: str) -> ExchangeError:
    exchange.record_stage(Stage.DNS, detail, ok=False)
    return ExchangeError(reason, detail)


def _max_running(last: Lookup | None) -> int:
    """Return how many lookups may run at a time for a name whose last lookup was this."""
    if last and last.seconds < MAX_RESOLVE_SECONDS:
        return MAX_LOOKUPS
    if last and not last.addresses:
        return MAX_LOOKUPS_DEAD
    return MAX_LOOKUPS_NEW_OR_SLOW


def _addresses_of(host: str) -> tuple[Address, ...]:
    """Return the distinct addresses of a host.

    Raises: OSError; UnicodeError and ValueError if the name or an address is malformed.
    """
    rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    texts = [str(row[4][0]).split("%")[0] for row in rows]
    return tuple(dict.fromkeys(map(ipaddress.ip_address, texts)))
