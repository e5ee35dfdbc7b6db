"""Resolve host names within the deadline."""

import ipaddress
import queue
import socket
import threading

from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import Address, ParsedUrl
from delivery.outcome import Reason, Stage

MAX_RESOLVE_SECONDS = 3.0
MAX_LOOKUPS = 8

_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


def resolve(exchange: Exchange) -> list[Address]:
    """Return the distinct addresses of the host, in the order of the system's resolver.

    `getaddrinfo` cannot be interrupted, so it runs in a thread; at most `MAX_LOOKUPS` threads
    may hang at a time.

    Raises: ExchangeError
    """
    if not _lookups.acquire(blocking=False):
        raise _failure(exchange, Reason.DNS_TIMEOUT, "too many DNS lookups are pending")
    results: queue.SimpleQueue = queue.SimpleQueue()
    try:
        threading.Thread(
            target=_look_up, args=(exchange.target, results), daemon=True, name="dns-lookup"
        ).start()
    except RuntimeError:
        _lookups.release()
        raise
    try:
        result = results.get(timeout=min(MAX_RESOLVE_SECONDS, exchange.seconds_left()))
    except queue.Empty:
        raise _failure(exchange, Reason.DNS_TIMEOUT, "no response in time") from None
    if isinstance(result, socket.gaierror) and result.errno == socket.EAI_AGAIN:
        raise _failure(exchange, Reason.DNS_FAILURE, "the name server did not respond")
    if isinstance(result, Exception) or not result:
        raise _failure(exchange, Reason.DNS_FAILURE, "the name does not exist")
    return result


def _failure(exchange: Exchange, reason: Reason, detail: str) -> ExchangeError:
    exchange.record_stage(Stage.DNS, detail, ok=False)
    return ExchangeError(reason, detail)


def _look_up(target: ParsedUrl, results: queue.SimpleQueue) -> None:
    try:
        rows = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        texts = [str(row[4][0]).split("%")[0] for row in rows]
        results.put(list(dict.fromkeys(map(ipaddress.ip_address, texts))))
    except (OSError, UnicodeError, ValueError) as error:
        results.put(error)
    finally:
        _lookups.release()
