"""One connection of the sender: http.client over guarded sockets, with strict reading."""

import contextlib
import http.client
import io
import re
import ssl
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from requests import PreparedRequest
from urllib3.exceptions import DecodeError, HeaderParsingError
from urllib3.response import MultiDecoder
from urllib3.util import wait_for_read
from urllib3.util.response import assert_header_parsing

from delivery.guard import sockets, tls
from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.url import ParsedUrl
from delivery.message import MessageError
from delivery.outcome import Reason, Stage

MAX_RAW_BODY_BYTES = 256 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?: (.*?))?(\r?\n)?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+[ \t]*(;.*?)?(\r?\n)?", re.DOTALL)
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_LENGTHS = re.compile(r"\s*([0-9]{1,1000})\s*(,\s*\1\s*)*", re.ASCII)


class _Reader(io.BufferedReader):
    """Read a response more strictly than http.client: ambiguous framing is an error.

    `part` says where the next line belongs: `status`, `head`, `sizes` (of chunks) or `trailers`.
    """

    part = "status"

    def readline(self, size=-1):
        """Return the next line, as a file does.

        Raises: ExchangeError if the line is cut off or endless, or is not the size of a chunk.
        """
        line = super().readline(size)
        if self.part == "sizes" and line and not _CHUNK_SIZE.fullmatch(line):
            raise ExchangeError(Reason.PROTOCOL_ERROR)
        if self.part != "status" and not line.endswith(b"\n") and (line or self.part != "trailers"):
            is_endless = 0 < size <= len(line)
            raise ExchangeError(Reason.TOO_LARGE if is_endless else Reason.CONNECTION_CLOSED)
        if self.part == "sizes" and int(line.split(b";")[0], 16) == 0:
            self.part = "trailers"
        return line

    def read(self, size=-1):
        """Return the end of a chunk, the only data that http.client reads this way.

        Raises: ExchangeError if the data is anything else.
        """
        data = super().read(size)
        if not b"\r\n".startswith(data):
            raise ExchangeError(Reason.PROTOCOL_ERROR)
        return data


class _StrictResponse(http.client.HTTPResponse):
    """A response with an unambiguous status and length (RFC 9112 §4, §5, §6.3).

    It is the `raw` of a `requests.Response`. `release` is called once the response is closed,
    with True if the body was read to its end.
    """

    fp: Any
    release: Callable[[bool], None] | None = None
    is_complete = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fp = _Reader(self.fp.detach())

    def begin(self):
        try:
            super().begin()
            assert_header_parsing(self.msg)
        except HeaderParsingError:
            raise ExchangeError(Reason.PROTOCOL_ERROR) from None
        except http.client.HTTPException:  # too many headers
            raise ExchangeError(Reason.TOO_LARGE) from None
        self.fp.part = "sizes"
        if self.status in (204, 304):
            self.chunked = False
            self.length = 0
        elif "chunked" in self._codings("Transfer-Encoding"):
            # http.client knows `chunked` only where it stands alone.
            self.chunked = True
            self.chunk_left = None
            self.length = None
        content_length = self.getheader("Content-Length")
        if content_length is not None and not self.chunked:
            match = _LENGTHS.fullmatch(content_length)
            if not match:
                raise ExchangeError(Reason.PROTOCOL_ERROR)
            if self.length is None:
                self.length = int(match[1])

    def stream(self, amt: int, decode_content: bool = True) -> Iterator[bytes]:
        """Yield the body in pieces of at most `amt` bytes, decompressed.

        Raises: DecodeError, ExchangeError, and the exceptions of sockets and http.client.
        """
        decoder = None
        codings = self._codings("Content-Encoding")
        if decode_content and not _CODINGS.isdisjoint(codings):
            decoder = MultiDecoder(",".join(codings))
        while piece := self.read1(amt):
            if decoder is None:
                yield piece
                continue
            try:
                yield decoder.decompress(piece, amt)
                while decoder.has_unconsumed_tail and (rest := decoder.decompress(b"", amt)):
                    yield rest
            except zlib.error as error:
                raise DecodeError from error
        if self.length:
            raise http.client.IncompleteRead(b"", self.length)
        self.is_complete = True

    def release_conn(self) -> None:
        """Release the connection; requests calls this when the response is closed."""
        self.close()
        if self.release:
            self.release(self.is_complete)
        self.release = None

    def _codings(self, header: str) -> list[str]:
        return [coding.strip() for coding in self.getheader(header, "").lower().split(",")]

    def _read_status(self):
        """Skip every interim response (RFC 9110 §15.2); http.client skips 100 alone."""
        while True:
            self.fp.part = "status"
            line = self.fp.readline()
            if not line:
                raise ConnectionResetError
            match = _STATUS.fullmatch(line)
            if not match:
                raise ExchangeError(Reason.PROTOCOL_ERROR)
            self.fp.part = "head"
            status = int(match[1])
            if status >= 200 or status == 101:
                return line[:8].decode(), status, (match[2] or b"").decode("latin-1")
            http.client.parse_headers(self.fp)


class Connection(http.client.HTTPConnection):
    """A connection to one target, opened at its first exchange and usable for further ones."""

    response_class = _StrictResponse
    sock: Any

    def __init__(self, target: ParsedUrl, context: ssl.SSLContext | None = None):
        super().__init__(target.host, target.port)
        self._context = context
        self._pieces: list[bytes] = []

    @property
    def is_connected(self) -> bool:
        """Return True if the receiver has neither closed the connection nor sent more data."""
        return self.sock is not None and not wait_for_read(self.sock, timeout=0)

    def serialize(self, request: PreparedRequest) -> bytes:
        """Return the exact bytes of the request.

        Raises: MessageError if a header cannot be written.
        """
        self._pieces.clear()
        try:
            self.request(request.method or "POST", request.path_url, request.body, request.headers)
        except ValueError:
            raise MessageError(
                "A header or the signing secret contains a character that cannot be sent."
            ) from None
        return b"".join(self._pieces)

    def send(self, data):
        """Collect the pieces, so that head and body leave in one packet."""
        self._pieces.append(data)

    def exchange(self, request: PreparedRequest, exchange: Exchange) -> http.client.HTTPResponse:
        """Send the request and read the head of the response.

        The body that follows has a size limit of its own.

        Raises: MessageError before anything was sent; ExchangeError, and the exceptions of
        sockets and http.client.
        """
        data = self.serialize(request)
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
        response = self.getresponse()
        exchange.max_bytes = MAX_RAW_BODY_BYTES
        return response


def connection_for(exchange: Exchange) -> Connection:
    """Return a connection to the target of the exchange; it is not open yet.

    Raises: ExchangeError if the certificate authorities cannot be read.
    """
    settings = exchange.settings
    if exchange.target.scheme == "http":
        return Connection(exchange.target)
    try:
        context = tls.context_for(settings.verify_tls, settings.ca_pem, exchange.policy.ca_file)
    except (ssl.SSLError, OSError, ValueError):
        raise ExchangeError(
            Reason.TLS_UNTRUSTED, "the certificate authorities to check it against cannot be read"
        ) from None
    return Connection(exchange.target, context)


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
