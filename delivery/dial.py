"""Dials a receiver: resolves its name, judges every address at the connect, and bounds the time and bytes of what follows.

Failures are `GuardError`, which is no OSError, so that no library in between wraps it.
"""

import errno
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
from delivery.addresses import NOWHERE, Own, why_literal_refused, why_refused
from delivery.outcome import WORDS, Stage
from delivery.target import Address, Target

RESOLVE_SECONDS = 3.0
CONNECT_SECONDS = 3.0
MOST_ADDRESSES = 6
HEAD_BYTES = 64 * 1024
MOST_LOOKUPS = 8
SECOND_LOOK_SECONDS = 2.0


class GuardError(Exception):
    """An exchange that ended before there was an answer: `reason` is one of the outcome table's, `detail` words for it."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Policy:
    """What this installation allows: private networks, extra certificate authorities, and the lab's address."""

    allow: tuple[Permission, ...] = ()
    ca_file: Path | None = None
    own: Own = NOWHERE


@dataclass
class Exchange:
    """One exchange on its way: its target, the seconds it has, its budget of bytes, and its stages so far.

    `at` is the wall clock's time (epoch seconds), `began` the monotonic one from which its seconds count; `heard` says
    whether any byte of an answer came.
    """

    target: Target
    policy: Policy
    seconds: float
    at: float = field(default_factory=time.time)
    stages: list[Stage] = field(default_factory=list)
    connected: bool = False
    budget: int = HEAD_BYTES
    listening: bool = False
    heard: bool = False
    began: float = field(default_factory=time.monotonic)
    lap_began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Lets the seconds count from now on: what went before was no part of the exchange."""
        self.began = self.lap_began = time.monotonic()

    def left(self) -> float:
        """The seconds until the deadline. Raises GuardError when there are none."""
        seconds = self.began + self.seconds - time.monotonic()
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
        if self.listening and count and not self.heard:
            self.heard = True
            self.lap("first byte")
        self.budget -= count
        if self.budget < 0:
            raise GuardError("too_large")


def connect(exchange: Exchange) -> "DeadlineSocket":
    """A connected socket to the first judged address that takes it, at most six, in the order of the resolver."""
    addresses = _judged(exchange)
    began, detail = time.monotonic(), ""
    for tried, (family, address) in enumerate(addresses):
        left = min(CONNECT_SECONDS - (time.monotonic() - began), exchange.left())
        try:
            sock = _connected(family, (str(address), exchange.target.port), max(0.05, left / (len(addresses) - tried)))
        except OSError as error:
            detail = _why_not_connected(error)
            continue
        exchange.connected = True
        exchange.lap("tcp", WORDS["connected"].format(address, exchange.target.port))
        sock.settimeout(exchange.left())
        return sock
    exchange.lap("tcp", detail, ok=False)
    raise GuardError("timeout_connect" if detail == WORDS["no_answer"] else "connect_refused", detail)


def look_again(family: int, peer: tuple, host: str, exchange: Exchange) -> bytes | None:
    """The certificate of a receiver that was not trusted (DER), seen on a second connection over which nothing is sent.

    Python's `ssl` does not give it after a failed handshake. `peer` was judged and connected to before. None when it
    cannot be had in the time that is left.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with _connected(family, peer, min(SECOND_LOOK_SECONDS, exchange.left())) as sock:
            sock.settimeout(min(SECOND_LOOK_SECONDS, exchange.left()))
            with context.wrap_socket(sock, server_hostname=host) as secure:
                return secure.getpeercert(binary_form=True)
    except (OSError, GuardError):
        return None


def _connected(family: int, peer: tuple, seconds: float) -> "DeadlineSocket":
    """A socket connected within `seconds`, which stay its timeout. Raises OSError."""
    try:
        sock = DeadlineSocket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            raise GuardError("internal_error", error.strerror or "") from None
        raise
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(peer)
    except BaseException:
        sock.close()
        raise
    return sock


def _judged(exchange: Exchange) -> list[tuple[int, Address]]:
    """The addresses that may be connected to; the stages `policy` and `dns` are over afterwards. Raises GuardError."""
    target, policy = exchange.target, exchange.policy
    allow = (*policy.allow, *policy.own.permissions(target))
    refusal = why_literal_refused(target, allow)
    exchange.lap("policy", refusal or WORDS["may_be_used"], ok=refusal is None)
    if refusal:
        raise GuardError("blocked_address", refusal)
    found = [target.address] if target.address else resolve(exchange)
    refusals = [why_refused(address, target.host.rstrip("."), target.port, allow) for address in found]
    allowed = [address for address, why in zip(found, refusals, strict=True) if why is None]
    names = ", ".join(str(address) for address in found[:MOST_ADDRESSES])
    exchange.lap("dns", names if target.address is None else WORDS["no_look_up"], ok=bool(allowed))
    if not allowed:
        raise GuardError("blocked_address", refusals[0] or "")
    return [(socket.AF_INET if a.version == 4 else socket.AF_INET6, a) for a in allowed[:MOST_ADDRESSES]]


_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


def resolve(exchange: Exchange) -> list[Address]:
    """All addresses of the host, in the system's order, each once. Raises GuardError.

    `getaddrinfo` cannot be interrupted, so it runs in a thread of its own; at most eight may be stuck at a time.
    """
    if not _lookups.acquire(blocking=False):
        exchange.lap("dns", WORDS["stuck_look_ups"], ok=False)
        raise GuardError("dns_timeout")
    answers: queue.SimpleQueue = queue.SimpleQueue()
    try:
        threading.Thread(target=_look_up, args=(exchange.target, answers), daemon=True, name="look-up").start()
    except RuntimeError:
        _lookups.release()
        raise
    try:
        answer = answers.get(timeout=min(RESOLVE_SECONDS, exchange.left()))
    except queue.Empty:
        exchange.lap("dns", WORDS["no_answer"], ok=False)
        raise GuardError("dns_timeout") from None
    if isinstance(answer, Exception) or not answer:
        silent = isinstance(answer, socket.gaierror) and answer.errno == socket.EAI_AGAIN
        why = WORDS["silent_name_server" if silent else "unknown_name"]
        exchange.lap("dns", why, ok=False)
        raise GuardError("dns_failure", why)
    return answer


def _look_up(target: Target, answers: queue.SimpleQueue) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        answers.put(list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).split("%")[0]) for one in found)))
    except (OSError, UnicodeError, ValueError) as error:
        answers.put(error)
    finally:
        _lookups.release()


def _why_not_connected(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return WORDS["no_answer"]
    if isinstance(error, ConnectionRefusedError):
        return WORDS["refused"]
    return (error.strerror or WORDS["no_way"]).lower()


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
