"""Dials a receiver: resolves its name, judges every address at the connect, and bounds the time and bytes of what follows.

Failures are `GuardError`, which is no OSError, so that no library in between wraps it.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import Permission
from delivery.addresses import why_literal_refused, why_refused
from delivery.outcome import Stage
from delivery.target import Address, Target

RESOLVE_SECONDS = 3.0
CONNECT_SECONDS = 3.0
MOST_ADDRESSES = 6
HEAD_BYTES = 64 * 1024
MOST_LOOKUPS = 8


class GuardError(Exception):
    """An exchange that ended before there was an answer: `reason` is one of the outcome table's, `detail` words for it."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Policy:
    """What this installation allows: private networks, and extra certificate authorities."""

    allow: tuple[Permission, ...] = ()
    ca_file: Path | None = None


@dataclass
class Exchange:
    """One exchange on its way: its target, its deadline (monotonic seconds), its budget of bytes, and its stages so far."""

    target: Target
    policy: Policy
    deadline: float
    stages: list[Stage] = field(default_factory=list)
    connected: bool = False
    budget: int = HEAD_BYTES
    awaits_first_byte: bool = False
    lap_began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """The seconds until the deadline. Raises GuardError when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise GuardError("timeout_total" if self.connected else "timeout_connect")
        return seconds

    def lap(self, name: str, detail: str = "", ok: bool = True) -> None:
        """Ends the stage that has run since the last call."""
        now = time.monotonic()
        self.stages.append(Stage(name, (now - self.lap_began) * 1000, detail, ok))
        self.lap_began = now

    def received(self, count: int) -> None:
        """Counts what came in. Raises GuardError beyond the budget."""
        if self.awaits_first_byte and count:
            self.awaits_first_byte = False
            self.lap("first byte")
        self.budget -= count
        if self.budget < 0:
            raise GuardError("too_large")


def connect(exchange: Exchange) -> "DeadlineSocket":
    """A connected socket to the first judged address that takes it, at most six, in the order of the resolver."""
    addresses = _judged(exchange)
    began, detail = time.monotonic(), ""
    for tried, (family, address) in enumerate(addresses):
        allowance = (CONNECT_SECONDS - (time.monotonic() - began)) / (len(addresses) - tried)
        sock = DeadlineSocket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.05, min(allowance, exchange.left())))
            sock.connect((str(address), exchange.target.port))
        except OSError as error:
            sock.close()
            detail = _why_not_connected(error)
            continue
        return _ready(sock, exchange, str(address))
    exchange.lap("tcp", detail, ok=False)
    raise GuardError("timeout_connect" if detail == _TOO_LATE else "connect_refused", detail)


def _ready(sock: "DeadlineSocket", exchange: Exchange, address: str) -> "DeadlineSocket":
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    exchange.connected = True
    exchange.lap("tcp", f"connected to {address}, port {exchange.target.port}")
    sock.settimeout(exchange.left())
    sock.exchange = exchange
    return sock


def _judged(exchange: Exchange) -> list[tuple[int, Address]]:
    """The addresses that may be connected to; the stages `policy` and `dns` are over afterwards. Raises GuardError."""
    target, allow = exchange.target, exchange.policy.allow
    exchange.lap_began = time.monotonic()
    refusal = why_literal_refused(target, allow)
    exchange.lap("policy", refusal or "the address may be used", ok=refusal is None)
    if refusal:
        raise GuardError("blocked_address", refusal)
    found = [target.address] if target.address else resolve(exchange)
    refusals = [why_refused(address, target.host.rstrip("."), target.port, allow) for address in found]
    allowed = [address for address, why in zip(found, refusals, strict=True) if why is None]
    names = ", ".join(str(address) for address in found[:MOST_ADDRESSES])
    exchange.lap("dns", names if target.address is None else "no look-up needed", ok=bool(allowed))
    if not allowed:
        raise GuardError("blocked_address", refusals[0] or "")
    return [(socket.AF_INET if a.version == 4 else socket.AF_INET6, a) for a in allowed[:MOST_ADDRESSES]]


_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


def resolve(exchange: Exchange) -> list[Address]:
    """All addresses of the host, in the system's order, each once. Raises GuardError.

    `getaddrinfo` cannot be interrupted, so it runs in a thread of its own; at most eight may be stuck at a time.
    """
    if not _lookups.acquire(blocking=False):
        exchange.lap("dns", "too many look-ups are stuck", ok=False)
        raise GuardError("dns_timeout")
    answers: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_look_up, args=(exchange.target, answers), daemon=True, name="look-up").start()
    try:
        answer = answers.get(timeout=min(RESOLVE_SECONDS, exchange.left()))
    except queue.Empty:
        exchange.lap("dns", "no answer", ok=False)
        raise GuardError("dns_timeout") from None
    if isinstance(answer, Exception):
        exchange.lap("dns", "not found", ok=False)
        raise GuardError("dns_failure", _why_not_found(answer))
    return answer


def _look_up(target: Target, answers: queue.SimpleQueue) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        answers.put(list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).split("%")[0]) for one in found)))
    except (OSError, UnicodeError, ValueError) as error:
        answers.put(error)
    finally:
        _lookups.release()


def _why_not_found(error: Exception) -> str:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return "the name server gave no answer"
    return "no such name is known"


_TOO_LATE = "it did not answer in time"


def _why_not_connected(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return _TOO_LATE
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    return (error.strerror or "no way there").lower()


_Base: Any = object


class _Deadlined(_Base):
    """What both kinds of socket do: each wait ends at the deadline of the exchange, and what comes in is counted."""

    exchange: Exchange | None = None

    def _within_deadline(self, call, *args):
        if self.exchange is None:
            return call(*args)
        self.settimeout(self.exchange.left())
        try:
            return call(*args)
        except TimeoutError:
            raise GuardError("timeout_total") from None

    def recv_into(self, *args):
        """As the socket's; the way that every byte of an answer comes in."""
        count = self._within_deadline(super().recv_into, *args)
        if self.exchange is not None:
            self.exchange.received(count)
        return count

    def send(self, *args):
        """As the socket's; TLS sends piece by piece through it."""
        return self._within_deadline(super().send, *args)


class DeadlineSocket(_Deadlined, socket.socket):
    """A plain socket within a deadline."""

    def sendall(self, *args):
        """As the socket's, whole within the deadline."""
        return self._within_deadline(super().sendall, *args)


class DeadlineTlsSocket(_Deadlined, ssl.SSLSocket):
    """A TLS socket within a deadline."""
