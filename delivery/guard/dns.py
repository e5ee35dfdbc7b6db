"""Resolve host names within the deadline."""

import ipaddress
import queue
import socket
import threading

from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import Address, ParsedUrl
from delivery.outcome import WORDS, Reason

RESOLVE_SECONDS = 3.0

MOST_LOOKUPS = 8

_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


def resolve(exchange: Exchange) -> list[Address]:
    """All addresses of the host, in the system's order, each once. Raises GuardError.

    `getaddrinfo` cannot be interrupted, so it runs in a thread of its own; at most eight may be stuck at a time.
    """
    if not _lookups.acquire(blocking=False):
        exchange.record_stage("dns", WORDS["stuck_look_ups"], ok=False)
        raise ExchangeError(Reason.DNS_TIMEOUT)
    answers: queue.SimpleQueue = queue.SimpleQueue()
    try:
        threading.Thread(
            target=_look_up, args=(exchange.target, answers), daemon=True, name="look-up"
        ).start()
    except RuntimeError:
        _lookups.release()
        raise
    try:
        answer = answers.get(timeout=min(RESOLVE_SECONDS, exchange.left()))
    except queue.Empty:
        exchange.record_stage("dns", WORDS["no_answer"], ok=False)
        raise ExchangeError(Reason.DNS_TIMEOUT) from None
    if isinstance(answer, Exception) or not answer:
        silent = isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN
        why = WORDS["silent_name_server" if silent else "unknown_name"]
        exchange.record_stage("dns", why, ok=False)
        raise ExchangeError(Reason.DNS_FAILURE, why)
    return answer


def _look_up(target: ParsedUrl, answers: queue.SimpleQueue) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        answers.put(
            list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).split("%")[0]) for one in found))
        )
    except (OSError, UnicodeError, ValueError) as error:
        answers.put(error)
    finally:
        _lookups.release()
