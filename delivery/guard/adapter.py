"""The transport adapter of requests: every request of Tocsin leaves through it."""

import http.client
from collections.abc import Iterable
from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from delivery.guard.connection import Connection, connection_for
from delivery.guard.exchange import Exchange
from delivery.guard.pool import ConnectionPool
from delivery.outcome import Stage


class RequestHeaders(CaseInsensitiveDict):
    """The headers of a request, of which a later one replaces an earlier one of the same name."""

    def __init__(self, headers: Iterable[tuple[str, str]] = ()):
        self._store = {name.lower(): (name, value) for name, value in headers}

    def items(self) -> Any:
        """Return each name as it was written, with its value.

        The mapping of requests looks every name up again for this, and fills itself slowly.
        """
        return self._store.values()


class GuardedRequest(PreparedRequest):
    """A prepared request with its exchange, and the pool that may hold a connection for it."""

    exchange: Exchange
    pool: ConnectionPool | None = None


class _BareResponse(Response):
    """A response without the cookies and headers of its class, which nobody reads."""

    _content: Any

    def __init__(self) -> None:
        self._content = False  # the body is not read yet
        self._content_consumed = False
        self.history = []


class GuardAdapter(HTTPAdapter):
    """A requests adapter that connects under the policy and the deadline of an exchange."""

    def send(self, request: Any, *_args: Any, **_kwargs: Any) -> Response:
        """Send a `GuardedRequest` and return the response with its body unread.

        The exchange of the request decides on timeout and trust; the other arguments of requests
        have no effect. A pooled connection that turns out to be closed is replaced once.

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
            raw: Any = connection.exchange(request, request.exchange)
        except BaseException:
            connection.close()
            raise
        raw.release = partial(_release, connection, request)
        return self.build_response(request, raw)

    def build_response(self, req: Any, resp: Any) -> Response:
        """Return a response with what the sender reads of it: its status and `raw`.

        Cookies, the encoding and the history count for nothing.
        """
        response = _BareResponse()
        response.status_code = resp.status
        response.raw = resp
        response.request = req
        return response


def _release(connection: Connection, request: GuardedRequest, is_complete: bool) -> None:
    if request.pool and is_complete and connection.sock is not None:
        request.pool.give(request.exchange.pool_key, connection)
    else:
        connection.close()
