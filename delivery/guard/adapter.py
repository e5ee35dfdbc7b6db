"""The connections of the sender: http.client's, over sockets that `delivery.guard.sockets` has judged, and nothing else."""

import contextlib
import http.client
import io
import re
import ssl
from typing import Any

from requests import PreparedRequest
from urllib3.util import wait_for_read
from urllib3.util.response import assert_header_parsing

from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.sockets import DeadlineTlsSocket, connect, look_again
from delivery.guard.tls import Certificate, context_for, describe, reason_of
from delivery.guard.url import ParsedUrl
from delivery.message import MessageError
from delivery.outcome import WORDS, Reason

RAW_BODY_BYTES = 256 * 1024
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
            raise ExchangeError(Reason.PROTOCOL_ERROR)
        if self.part != "status" and not line.endswith(b"\n") and (line or self.part != "trailers"):
            raise ExchangeError(
                Reason.TOO_LARGE if 0 < size <= len(line) else Reason.CONNECTION_CLOSED
            )
        if self.part == "sizes" and int(line.split(b";")[0], 16) == 0:
            self.part = "trailers"
        return line

    def read(self, size=-1):
        """The end of a chunk, which is all that http.client reads this way. Raises GuardError when it is something else."""
        data = super().read(size)
        if not b"\r\n".startswith(data):
            raise ExchangeError(Reason.PROTOCOL_ERROR)
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
            raise (
                ExchangeError(Reason.TOO_LARGE)
                if type(error) is http.client.HTTPException
                else error
            ) from None
        assert_header_parsing(self.msg)
        if self.status in (204, 304):
            self.chunked, self.length = False, 0
        elif "chunked" in [
            one.strip() for one in self.getheader("Transfer-Encoding", "").lower().split(",")
        ]:
            vars(self).update(
                chunked=True, chunk_left=None, length=None
            )  # http.client knows it only where it stands alone.
        if not self.chunked:
            stated = self._stated_length()
            self.length = stated if self.length is None else self.length
        self.fp.part = "sizes" if self.chunked else "trailers"

    def _stated_length(self) -> int | None:
        lengths = {
            one.strip()
            for value in self.msg.get_all("Content-Length", [])
            for one in value.split(",")
        }
        if len(lengths) > 1 or not all(
            re.fullmatch("[0-9]{1,1000}", one, re.ASCII) for one in lengths
        ):
            raise ExchangeError(Reason.PROTOCOL_ERROR)
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
                raise ExchangeError(Reason.PROTOCOL_ERROR)
            self.fp.part, status = "head", int(found[1])
            if status >= 200 or status == 101:
                return line[:8].decode(), status, (found[2] or b"").decode("latin-1")
            http.client.parse_headers(self.fp)


class Connection(http.client.HTTPConnection):
    """One connection to a target, made when it is first needed; it can carry one exchange after the other."""

    response_class = _StrictResponse

    def __init__(self, target: ParsedUrl, context: ssl.SSLContext | None = None):
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
            self.request(
                prepared.method or "POST", prepared.path_url, prepared.body, prepared.headers
            )
        except ValueError:
            raise MessageError(WORDS["unwritable"]) from None
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
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError
        ):
            sock.sendall(data)
        exchange.record_stage("sent", WORDS["bytes"].format(len(data)))
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
        return Connection(
            target, context_for(verify_tls, ca_pem, exchange.policy.ca_file, DeadlineTlsSocket)
        )
    except (ssl.SSLError, OSError, ValueError):
        raise ExchangeError(Reason.TLS_UNTRUSTED, WORDS["bad_authorities"]) from None


def _shaken(sock, context: ssl.SSLContext, exchange: Exchange):
    """The socket within TLS. Whatever fails here is said as a reason of its own."""
    peer, host = sock.getpeername(), exchange.target.host.rstrip(".")
    sock.exchange = None  # The handshake has the deadline as its timeout; OpenSSL bounds its bytes.
    try:
        secure = context.wrap_socket(sock, server_hostname=host)
    except TimeoutError:
        reason, detail = "timeout_total", ""
    except ssl.SSLCertVerificationError as error:
        reason, detail = reason_of(
            error, Certificate.read(look_again(sock.family, peer, host, exchange))
        )
    except ssl.SSLError as error:
        reason, detail = reason_of(error)
    except OSError:
        reason, detail = "tls_handshake", WORDS["handshake_closed"]
    else:
        exchange.record_stage("tls", describe(secure, exchange.at))
        return secure
    sock.close()
    exchange.record_stage("tls", WORDS["failed"], ok=False)
    raise ExchangeError(reason, detail)
