"""Connect to a receiver: check every address, and limit the time and bytes that follow."""

import errno
import socket
import ssl
import time

from delivery.guard.addresses import literal_refusal_of, refusal_of
from delivery.guard.dns import resolve
from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import Address
from delivery.outcome import Reason, Stage

MAX_CONNECT_SECONDS = 3.0
MIN_CONNECT_SECONDS = 0.05
MAX_ADDRESSES = 6


def connect(exchange: Exchange) -> "DeadlineSocket":
    """Return a socket connected to the first permitted address that accepts.

    At most `MAX_ADDRESSES` are tried, in the order of the resolver.

    Raises: ExchangeError
    """
    addresses = _permitted_addresses(exchange)
    port = exchange.target.port
    deadline = time.monotonic() + MAX_CONNECT_SECONDS
    failure = ExchangeError(Reason.CONNECT_REFUSED)
    for tried, address in enumerate(addresses):
        seconds = min(deadline - time.monotonic(), exchange.seconds_left())
        share = max(MIN_CONNECT_SECONDS, seconds / (len(addresses) - tried))
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            sock = open_socket(family, (str(address), port), share)
        except OSError as error:
            failure = _failure_of(error)
            continue
        exchange.connected = True
        exchange.record_stage(Stage.TCP, f"connected to {address}, port {port}")
        try:
            sock.settimeout(exchange.seconds_left())
        except ExchangeError:  # the deadline has passed
            sock.close()
            raise
        return sock
    exchange.record_stage(Stage.TCP, failure.detail, ok=False)
    raise failure


def open_socket(family: int, peer: tuple, seconds: float) -> "DeadlineSocket":
    """Return a connected socket with this timeout.

    Raises: OSError; ExchangeError if this process has no more resources.
    """
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


def _permitted_addresses(exchange: Exchange) -> list[Address]:
    """Check the target, and return the addresses to connect to.

    Raises: ExchangeError if there is none.
    """
    target = exchange.target
    allowed = exchange.policy.permissions(target)
    refusal = literal_refusal_of(target, allowed)
    exchange.record_stage(Stage.POLICY, refusal or "the address is allowed", ok=not refusal)
    if refusal:
        raise ExchangeError(Reason.BLOCKED_ADDRESS, refusal)
    if target.address:
        exchange.record_stage(Stage.DNS, "no lookup needed")
        return [target.address]
    resolved = resolve(exchange)
    refusals = {address: refusal_of(address, target, allowed) for address in resolved.addresses}
    permitted = [address for address, refusal in refusals.items() if not refusal]
    names = ", ".join(map(str, list(refusals)[:MAX_ADDRESSES]))
    if resolved.is_cached:
        names += " (cached)"
    exchange.record_stage(Stage.DNS, names, ok=bool(permitted))
    if not permitted:
        raise ExchangeError(Reason.BLOCKED_ADDRESS, next(iter(refusals.values())) or "")
    return permitted[:MAX_ADDRESSES]


def _failure_of(error: OSError) -> ExchangeError:
    if isinstance(error, TimeoutError):
        return ExchangeError(Reason.TIMEOUT_CONNECT, "it did not respond in time")
    detail = (error.strerror or "no route").lower()
    if isinstance(error, ConnectionRefusedError):
        detail = "nothing listens there (connection refused)"
    return ExchangeError(Reason.CONNECT_REFUSED, detail)


class DeadlineSocket(socket.socket):
    """A socket whose waits end at the deadline of its exchange, and whose bytes are counted."""

    exchange: Exchange

    def _within_deadline(self, call, *args):
        self.settimeout(self.exchange.seconds_left())
        try:
            return call(*args)
        except TimeoutError:
            raise ExchangeError(Reason.TIMEOUT_TOTAL) from None

    def recv_into(self, *args):
        """Receive as a socket does; every byte of a response arrives here."""
        count = self._within_deadline(super().recv_into, *args)
        self.exchange.count_received(count)
        return count

    def makefile(self, *_args, **_kwargs):
        """Return the file that http.client reads; `StrictResponse` has a buffer of its own."""
        return super().makefile("rb", buffering=0)

    def send(self, *args):
        """Send as a socket does; TLS sends its pieces through this method."""
        return self._within_deadline(super().send, *args)

    def sendall(self, *args):
        """Send everything before the deadline, as a socket does."""
        return self._within_deadline(super().sendall, *args)


class DeadlineTlsSocket(DeadlineSocket, ssl.SSLSocket):
    """A TLS socket with a deadline."""
