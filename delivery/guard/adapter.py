"""The transport adapter of requests: every request of Tocsin leaves through it."""

import http.client
import zlib
from collections.abc import Iterator
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import DecodeError
from urllib3.response import MultiDecoder

from delivery.guard.connection import Connection, connection_for
from delivery.guard.exchange import Exchange
from delivery.guard.pool import ConnectionPool
from delivery.outcome import Stage

MAX_READ_BYTES = 4096
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class GuardedRequest(PreparedRequest):
    """A prepared request with its exchange, and the pool that may hold a connection for it."""

    exchange: Exchange
    pool: ConnectionPool | None = None


class GuardAdapter(HTTPAdapter):
    """A requests adapter that connects under the policy and the deadline of an exchange."""

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """Send a `GuardedRequest` and return the response with its body unread.

        The exchange of the request decides on timeout, trust and proxies (none). A pooled
        connection that turns out to be closed is replaced once.

        Raises: MessageError, ExchangeError, and the exceptions of sockets and http.client.
        """
        exchange = request.exchange
        connection = request.pool and request.pool.take(exchange.pool_key)
        if connection:
            exchange.connected = True
            exchange.record_stage(Stage.TCP, "reused an open connection")
            try:
                return self._exchange(connection, request)
            except (OSError, http.client.HTTPException):
                if exchange.received_any:
                    raise
            exchange.record_stage(
                Stage.FIRST_BYTE, "the open connection was closed; opening a new one", ok=False
            )
            exchange.connected = False
        return self._exchange(connection_for(exchange), request)

    def _exchange(self, connection: Connection, request: GuardedRequest) -> Response:
        try:
            response = connection.exchange(request, request.exchange)
        except BaseException:
            connection.close()
            raise
        raw: Any = RawResponse(response, connection, request)
        return self.build_response(request, raw)


class RawResponse:
    """The `raw` of a `requests.Response`: reads the body from the guarded connection."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        connection: Connection,
        request: GuardedRequest,
    ):
        self.status = response.status
        self.reason = response.reason
        self.headers = HTTPHeaderDict()
        for name, value in response.getheaders():
            # A folded value is one line (RFC 9112 §5.2).
            lines = value.split("\r\n")
            self.headers.add(name, " ".join(line.strip(" \t") for line in lines))
        self._response = response
        self._connection = connection
        self._request = request
        self._is_complete = False
        self._is_released = False

    def stream(self, amt: int = MAX_READ_BYTES, decode_content: bool = True) -> Iterator[bytes]:
        """Yield the body in pieces of at most `amt` bytes, decompressed.

        Raises: DecodeError, ExchangeError, and the exceptions of sockets and http.client.
        """
        decoder = self._decoder() if decode_content else None
        while piece := self._response.read1(amt):
            if decoder is None:
                yield piece
                continue
            try:
                yield decoder.decompress(piece, amt)
                while decoder.has_unconsumed_tail and (rest := decoder.decompress(b"", amt)):
                    yield rest
            except zlib.error as error:
                raise DecodeError from error
        if self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        self._is_complete = True

    def _decoder(self) -> MultiDecoder | None:
        codings = self.headers.get("Content-Encoding", "").lower()
        if _CODINGS.isdisjoint(map(str.strip, codings.split(","))):
            return None
        return MultiDecoder(codings)

    def close(self) -> None:
        """Release the connection."""
        self.release_conn()

    def release_conn(self) -> None:
        """Give the connection back to the pool if the body was read to its end, else close it."""
        if self._is_released:
            return
        self._is_released = True
        self._response.close()
        request = self._request
        if request.pool and self._is_complete and self._connection.sock is not None:
            request.pool.give(request.exchange.pool_key, self._connection)
        else:
            self._connection.close()
