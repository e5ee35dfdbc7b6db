"""One connection of the sender: HTTP over guarded sockets.

Every delivery runs through here: a request leaves in one piece, serialized without http.client.
"""

import contextlib
import re
import ssl
from typing import Any, cast

from requests import PreparedRequest
from urllib3.util import wait_for_read

from delivery.guard import sockets, tls
from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.reading import StrictResponse
from delivery.message import MessageError
from delivery.outcome import Reason, Stage

MAX_RAW_BODY_BYTES = 256 * 1024
_REQUEST_HEAD = re.compile(
    r"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[!-9;-~]+: [^\r\n\0]*\r\n)*\r\n", re.ASCII
)


def serialize(request: PreparedRequest) -> bytes:
    """Return the exact bytes of a request.

    Raises: MessageError if the target or a header cannot be written.
    """
    lines = [f"{request.method} {request.path_url} HTTP/1.1\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    head = "".join(lines) + "\r\n"
    try:
        # As many line ends as lines: none of them is in a header.
        if not _REQUEST_HEAD.fullmatch(head) or head.count("\n") != len(lines) + 1:
            raise ValueError
        return head.encode("latin-1") + cast(bytes, request.body or b"")
    except ValueError:
        raise MessageError(
            "A header or the signing secret contains a character that cannot be sent."
        ) from None


class Connection:
    """A connection to one target, opened at its first exchange and usable for further ones."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.sock: Any = None
        self._context = context

    @property
    def is_connected(self) -> bool:
        """Return True if the receiver has neither closed the connection nor sent more data."""
        return self.sock is not None and not wait_for_read(self.sock, timeout=0)

    def close(self) -> None:
        """Close the connection."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def exchange(self, request: PreparedRequest, exchange: Exchange) -> StrictResponse:
        """Send the request and read the head of the response.

        The body that follows has a size limit of its own.

        Raises: MessageError before anything was sent; ExchangeError, and the exceptions of
        sockets and http.client.
        """
        data = serialize(request)
        if self.sock is None:
            self.sock = sockets.connect(exchange)
            if self._context is not None:
                self.sock = _wrap_tls(self.sock, self._context, exchange)
        self.sock.exchange = exchange
        # A receiver may respond and close before it has read everything; its response counts.
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError
        ):
            self.sock.sendall(data)
        exchange.record_stage(Stage.SENT, f"{len(data):,} bytes")
        response = StrictResponse(self.sock, method=request.method)
        try:
            response.begin()
        except BaseException:
            response.close()
            raise
        if response.will_close:
            self.close()  # the response keeps the socket until it is closed itself
        exchange.max_bytes = MAX_RAW_BODY_BYTES
        return response


def connection_for(exchange: Exchange) -> Connection:
    """Return a connection to the target of the exchange; it is not open yet.

    Raises: ExchangeError if the certificate authorities cannot be read.
    """
    settings = exchange.settings
    if exchange.target.scheme == "http":
        return Connection()
    try:
        context = tls.context_for(settings.verify_tls, settings.ca_pem, exchange.policy.ca_file)
    except (ssl.SSLError, OSError, ValueError):
        raise ExchangeError(
            Reason.TLS_UNTRUSTED, "the certificate authorities to check it against cannot be read"
        ) from None
    return Connection(context)


def _wrap_tls(sock, context: ssl.SSLContext, exchange: Exchange) -> ssl.SSLSocket:
    """Return the socket within TLS.

    Raises: ExchangeError with the reason of a failed handshake.
    """
    peer = sock.getpeername()
    host = exchange.target.host.rstrip(".")
    try:
        # The socket's timeout is the deadline; OpenSSL limits the bytes.
        secure = context.wrap_socket(sock, server_hostname=host)
    except OSError as error:
        certificate = None
        if isinstance(error, ssl.SSLCertVerificationError):
            certificate = tls.fetch_certificate(sock.family, peer, host, exchange)
        sock.close()
        exchange.record_stage(Stage.TLS, "failed", ok=False)
        raise ExchangeError(*tls.reason_of(error, certificate)) from None
    exchange.record_stage(Stage.TLS, tls.describe(secure, exchange.started_at))
    return secure
