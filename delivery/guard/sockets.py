"""Dials a receiver: resolves its name, judges every address at the connect, and bounds the time and bytes of what follows.

Failures are `GuardError`, which is no OSError, so that no library in between wraps it.
"""

import errno
import socket
import ssl
import time
from typing import Any

from delivery.guard.addresses import why_literal_refused, why_refused
from delivery.guard.dns import resolve
from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import Address
from delivery.outcome import WORDS, Reason

CONNECT_SECONDS = 3.0
MOST_ADDRESSES = 6
SECOND_LOOK_SECONDS = 2.0


def connect(exchange: Exchange) -> "DeadlineSocket":
    """A connected socket to the first judged address that takes it, at most six, in the order of the resolver."""
    addresses = _judged(exchange)
    began, detail = time.monotonic(), ""
    for tried, (family, address) in enumerate(addresses):
        left = min(CONNECT_SECONDS - (time.monotonic() - began), exchange.left())
        try:
            sock = _connected(
                family,
                (str(address), exchange.target.port),
                max(0.05, left / (len(addresses) - tried)),
            )
        except OSError as error:
            detail = _why_not_connected(error)
            continue
        exchange.connected = True
        exchange.record_stage("tcp", WORDS["connected"].format(address, exchange.target.port))
        sock.settimeout(exchange.left())
        return sock
    exchange.record_stage("tcp", detail, ok=False)
    raise ExchangeError(
        Reason.TIMEOUT_CONNECT if detail == WORDS["no_answer"] else Reason.CONNECT_REFUSED, detail
    )


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
    except (OSError, ExchangeError):
        return None


def _connected(family: int, peer: tuple, seconds: float) -> "DeadlineSocket":
    """A socket connected within `seconds`, which stay its timeout. Raises OSError."""
    try:
        sock = DeadlineSocket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            raise ExchangeError(Reason.INTERNAL_ERROR, error.strerror or "") from None
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
    allow = (*policy.allow, *policy.lab.permissions(target))
    refusal = why_literal_refused(target, allow)
    exchange.record_stage("policy", refusal or WORDS["may_be_used"], ok=refusal is None)
    if refusal:
        raise ExchangeError(Reason.BLOCKED_ADDRESS, refusal)
    found = [target.address] if target.address else resolve(exchange)
    refusals = [
        why_refused(address, target.host.rstrip("."), target.port, allow) for address in found
    ]
    allowed = [address for address, why in zip(found, refusals, strict=True) if why is None]
    names = ", ".join(str(address) for address in found[:MOST_ADDRESSES])
    exchange.record_stage(
        "dns", names if target.address is None else WORDS["no_look_up"], ok=bool(allowed)
    )
    if not allowed:
        raise ExchangeError(Reason.BLOCKED_ADDRESS, refusals[0] or "")
    return [
        (socket.AF_INET if a.version == 4 else socket.AF_INET6, a) for a in allowed[:MOST_ADDRESSES]
    ]


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
            raise ExchangeError(Reason.TIMEOUT_TOTAL) from None

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
