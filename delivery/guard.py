"""The adapter of the sender: requests and urllib3 over sockets that `delivery.dial` has judged, and nothing else."""

import contextlib
import http.client
import ssl
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from delivery.dial import DeadlineTlsSocket, Exchange, connect
from delivery.tls import context_for, describe

RAW_BODY_BYTES = 256 * 1024


class GuardedAdapter(HTTPAdapter):
    """An adapter for one exchange: a fresh connection to a judged address, closed after it."""

    def __init__(self, exchange: Exchange, verify_tls: bool, ca_pem: str):
        super().__init__(max_retries=False)
        target = exchange.target
        if target.scheme == "https":
            context = context_for(verify_tls, ca_pem, exchange.policy.ca_file, DeadlineTlsSocket)
            self._pool: HTTPConnectionPool = _HttpsPool(
                target.host, target.port, cert_reqs=context.verify_mode, ssl_context=context, exchange=exchange
            )
        else:
            self._pool = _HttpPool(target.host, target.port, exchange=exchange)

    def init_poolmanager(self, *args, **kwargs):
        """None is needed: this adapter has one pool."""

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        """The one pool; whatever proxies the environment names are not used."""
        return self._pool

    def cert_verify(self, conn, url, verify, cert):
        """Nothing: the context decides, and requests would load its authorities anew for each connection."""

    def close(self):
        """Closes the connection."""
        self._pool.close()


class _FinalResponse(http.client.HTTPResponse):
    """Passes over every interim answer (RFC 9110 §15.2), not over 100 alone as the standard library does."""

    def _read_status(self):
        version, status, reason = super()._read_status()  # type: ignore[misc]
        while 100 < status < 200 and status != 101:
            http.client.parse_headers(self.fp)
            version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, status, reason


# urllib3's two connection classes, seen as one by the type checker.
_AnyConnection: Any = object


class _Guarded(_AnyConnection):
    """What both kinds of connection do: connect through the guard, and keep the stages of the exchange."""

    def __init__(self, *args, exchange: Exchange, **kwargs):
        super().__init__(*args, **kwargs)
        self._exchange = exchange
        self._unsent: list[bytes] = []

    def _new_conn(self):
        return connect(self._exchange)

    def send(self, data):
        """Keeps the pieces, so that head and body leave together: one packet, and a receiver that reads once reads all."""
        if self.sock is None:
            self.connect()
        self._unsent.append(data)

    def getresponse(self):
        """Sends, and reads the head of the answer; the body gets a budget of its own."""
        # A receiver may answer and close before it has read everything; its answer counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(b"".join(self._unsent))
        self._unsent.clear()
        self._exchange.lap("sent")
        self._exchange.awaits_first_byte = True
        response = super().getresponse()
        self._exchange.budget = RAW_BODY_BYTES
        return response


class _Connection(_Guarded, HTTPConnection):
    response_class = _FinalResponse


class _TlsConnection(_Guarded, HTTPSConnection):
    response_class = _FinalResponse

    def connect(self):
        try:
            super().connect()
        except (ssl.SSLError, OSError):
            if self._exchange.connected:
                self._exchange.lap("tls", "failed", ok=False)
            raise
        sock: Any = self.sock
        sock.exchange = self._exchange
        self.is_verified = True  # The person's own choice stands in the context: urllib3 need not warn of it.
        self._exchange.lap("tls", describe(sock))


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
