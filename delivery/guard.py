"""The connections of the sender: http.client's, over sockets that `delivery.dial` has judged, and nothing else."""

import contextlib
import http.client
import io
import re
import ssl
import threading
import time
from typing import Any

from requests import PreparedRequest
from urllib3.util import wait_for_read
from urllib3.util.response import assert_header_parsing

from delivery.dial import DeadlineTlsSocket, Exchange, GuardError, connect, look_again
from delivery.message import Unsendable
from delivery.outcome import WORDS
from delivery.target import Target
from delivery.tls import Certificate, context_for, describe, reason_of

RAW_BODY_BYTES = 256 * 1024
KEPT_SECONDS = 5.0
MOST_KEPT = 64
_STATUS = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?: (.*?))?(\r?\n)?", re.DOTALL)
_SIZE = re.compile(rb"[0-9A-Fa-f]+[ \t]*(;.*?)?(\r?\n)?", re.DOTALL)


class _Reader(io.BufferedReader):
    """Reads an answer, stricter than the libraries above it: what could be read in two ways is no proper HTTP.

    `part` says what the next line belongs to: the `status`, the `head`, the `sizes` of chunks, or the `trailers`.
    """

    part = "status"

    def readline(self, size=-1):
        """As a file's. Raises GuardError on a line that was cut off, that is endless, or that is no size of a chunk."""
        line = super().readline(size)
        if self.part == "sizes" and line and not _SIZE.fullmatch(line):
            raise GuardError("protocol_error")
        if self.part != "status" and not line.endswith(b"\n") and (line or self.part != "trailers"):
            raise GuardError("too_large" if 0 < size <= len(line) else "connection_closed")
        if self.part == "sizes" and int(line.split(b";")[0], 16) == 0:
            self.part = "trailers"
        return line

    def read(self, size=-1):
        """The end of a chunk, which is all that http.client reads this way. Raises GuardError when it is something else."""
        data = super().read(size)
        if not b"\r\n".startswith(data):
            raise GuardError("protocol_error")
        return data


class _StrictResponse(http.client.HTTPResponse):
    """An answer whose head leaves no doubt about its status and its length (RFC 9112 §4, §5, §6.3)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fp: Any = _Reader(self.fp.detach())

    def begin(self):
        try:
            super().begin()
        except http.client.HTTPException as error:
            # http.client has no class for too many headers.
            raise GuardError("too_large") if type(error) is http.client.HTTPException else error from None
        assert_header_parsing(self.msg)
        if self.status in (204, 304):
            self.chunked, self.length = False, 0
        elif "chunked" in [one.strip() for one in self.getheader("Transfer-Encoding", "").lower().split(",")]:
            vars(self).update(chunked=True, chunk_left=None, length=None)  # http.client knows it only where it stands alone.
        if not self.chunked:
            stated = self._stated_length()
            self.length = stated if self.length is None else self.length
        self.fp.part = "sizes" if self.chunked else "trailers"

    def _stated_length(self) -> int | None:
        lengths = {one.strip() for value in self.msg.get_all("Content-Length", []) for one in value.split(",")}
        if len(lengths) > 1 or not all(re.fullmatch("[0-9]{1,1000}", one, re.ASCII) for one in lengths):
            raise GuardError("protocol_error")
        return int(lengths.pop()) if lengths else None

    def _read_status(self):
        """Passes over every interim answer (RFC 9110 §15.2), not over 100 alone as the standard library does."""
        while True:
            self.fp.part = "status"
            line = self.fp.readline()
            if not line:
                raise http.client.RemoteDisconnected("no answer")
            found = _STATUS.fullmatch(line)
            if not found:
                raise GuardError("protocol_error")
            self.fp.part, status = "head", int(found[1])
            if status >= 200 or status == 101:
                return line[:8].decode(), status, (found[2] or b"").decode("latin-1")
            http.client.parse_headers(self.fp)


class Connection(http.client.HTTPConnection):
    """One connection to a target, made when it is first needed; it can carry one exchange after the other."""

    response_class = _StrictResponse

    def __init__(self, target: Target, context: ssl.SSLContext | None = None):
        super().__init__(target.host, target.port)
        self._context = context
        self._pieces: list[bytes] = []

    @property
    def is_connected(self) -> bool:
        """Whether the receiver has neither closed it nor sent anything since its last answer."""
        return self.sock is not None and not wait_for_read(self.sock, timeout=0)

    def written(self, prepared: PreparedRequest) -> bytes:
        """The exact bytes of the request. Raises Unsendable when a header cannot be written."""
        self._pieces.clear()
        try:
            self.request(prepared.method or "POST", prepared.path_url, prepared.body, prepared.headers)
        except ValueError:
            raise Unsendable(WORDS["unwritable"]) from None
        return b"".join(self._pieces)

    def send(self, data):
        """Keeps the pieces, so that head and body leave together: one packet, and a receiver that reads once reads all."""
        self._pieces.append(data)

    def exchange(self, prepared: PreparedRequest, exchange: Exchange) -> http.client.HTTPResponse:
        """Sends the request, and reads the head of the answer; the body gets a budget of its own.

        Raises GuardError, and what sockets and http.client raise; Unsendable before anything was sent.
        """
        data = self.written(prepared)
        if self.sock is None:
            plain = connect(exchange)
            self.sock = plain if self._context is None else _shaken(plain, self._context, exchange)
        sock: Any = self.sock
        sock.exchange = exchange
        # A receiver may answer and close before it has read everything; its answer counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            sock.sendall(data)
        exchange.lap("sent", WORDS["bytes"].format(len(data)))
        exchange.listening = True
        response = self.getresponse()
        exchange.budget = RAW_BODY_BYTES
        return response


def connection_for(exchange: Exchange, verify_tls: bool, ca_pem: str) -> Connection:
    """A connection that is not made yet, for the target of an exchange. Raises GuardError on unusable authorities."""
    target = exchange.target
    if target.scheme == "http":
        return Connection(target)
    try:
        return Connection(target, context_for(verify_tls, ca_pem, exchange.policy.ca_file, DeadlineTlsSocket))
    except (ssl.SSLError, OSError, ValueError):
        raise GuardError("tls_untrusted", WORDS["bad_authorities"]) from None


def _shaken(sock, context: ssl.SSLContext, exchange: Exchange):
    """The socket within TLS. Whatever fails here is said as a reason of its own."""
    peer, host = sock.getpeername(), exchange.target.host.rstrip(".")
    sock.exchange = None  # The handshake has the deadline as its timeout; OpenSSL bounds its bytes.
    try:
        secure = context.wrap_socket(sock, server_hostname=host)
    except TimeoutError:
        reason, detail = "timeout_total", ""
    except ssl.SSLCertVerificationError as error:
        reason, detail = reason_of(error, Certificate.read(look_again(sock.family, peer, host, exchange)))
    except ssl.SSLError as error:
        reason, detail = reason_of(error)
    except OSError:
        reason, detail = "tls_handshake", WORDS["handshake_closed"]
    else:
        exchange.lap("tls", describe(secure, exchange.at))
        return secure
    sock.close()
    exchange.lap("tls", WORDS["failed"], ok=False)
    raise GuardError(reason, detail)


class Kept:
    """Connections that stay open for a few seconds after an exchange, for a next one to the same place. For many threads."""

    def __init__(self, seconds: float = KEPT_SECONDS, most: int = MOST_KEPT):
        self._seconds, self._most = seconds, most
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple, float, Connection]] = []

    def take(self, key: tuple) -> Connection | None:
        """One that was given under this key, is young enough, and that the receiver has not closed; else None."""
        with self._lock:
            self._close_old()
            found = next((entry for entry in reversed(self._idle) if entry[0] == key), None)
            if found:
                self._idle.remove(found)
        if found and not found[2].is_connected:
            found[2].close()
            return None
        return found[2] if found else None

    def give(self, key: tuple, connection: Connection) -> None:
        """Keeps a connection whose last answer was read to its end; the oldest goes when there are too many."""
        with self._lock:
            self._idle.append((key, time.monotonic(), connection))
            self._close_old()

    def close(self) -> None:
        """Closes all that are idle."""
        with self._lock:
            self._close_old(everything=True)

    def _close_old(self, everything: bool = False) -> None:
        latest = time.monotonic() - self._seconds
        while self._idle and (everything or self._idle[0][1] < latest or len(self._idle) > self._most):
            self._idle.pop(0)[2].close()
