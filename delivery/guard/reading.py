"""Reads responses more strictly than http.client: what parsers may read in two ways is an error."""

import http.client
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from urllib3.exceptions import DecodeError, HeaderParsingError
from urllib3.response import MultiDecoder
from urllib3.util.response import assert_header_parsing

from delivery.guard.exchange import ExchangeError
from delivery.outcome import Reason

_STATUS = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?: (.*?))?(\r?\n)?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+[ \t]*(;.*?)?(\r?\n)?", re.DOTALL)
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_LENGTHS = re.compile(r"\s*([0-9]{1,1000})\s*(,\s*\1\s*)*", re.ASCII)
# Fields that all parsers read alike, without a folded line or a line end of another kind.
_USUAL_HEAD = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r?\n)*\r?\n")
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*([^\r\n]*)\r?\n")
_FOLD = re.compile(r"[ \t]*\r\n[ \t]*")
_MAX_LINE = 65_536
_MAX_LINES = 100


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


class Fields:
    """The header fields of a response as they came, to be looked up by name in any case.

    It has the methods of http.client's own headers that a response needs, and costs less.
    """

    def __init__(self, fields: list[tuple[str, str]]):
        self._fields = fields
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name.lower(), []).append(value)

    def items(self) -> list[tuple[str, str]]:
        """Return every field."""
        return self._fields

    def get_all(self, name: str, default: Any = None) -> Any:
        """Return every value of a field, or the default without one."""
        return self._values.get(name.lower(), default)


class StrictResponse(http.client.HTTPResponse):
    """A response with an unambiguous status and length (RFC 9112 §4, §5, §6.3, §9.3).

    It is the `raw` of a `requests.Response`. `release` is called once the response is closed,
    with True if the body was read to its end.
    """

    fp: Any
    release: Callable[[bool], None] | None = None
    is_complete = False

    def __init__(self, sock: Any, method: str | None):
        super().__init__(sock, method=method)
        self.fp = _Reader(self.fp)

    def begin(self):
        """Read the head: the status, the headers, and with them the length of the body."""
        version, self.status, self.reason = self._read_status()
        self.code = self.status
        self.version = 10 if version == "HTTP/1.0" else 11
        headers: Any = _read_head(self.fp)
        self.headers = self.msg = headers
        self.fp.part = "sizes"
        tokens = self._tokens("Connection")
        self.will_close = "close" in tokens or (self.version < 11 and "keep-alive" not in tokens)
        self.length = None
        self.chunk_left = None
        # http.client knows `chunked` only where it stands alone.
        self.chunked = "chunked" in self._tokens("Transfer-Encoding")
        if self.status in (204, 304):
            self.chunked = False
            self.length = 0
        content_length = self.getheader("Content-Length")
        if content_length is not None and not self.chunked:
            match = _LENGTHS.fullmatch(content_length)
            if not match:
                raise ExchangeError(Reason.PROTOCOL_ERROR)
            if self.length is None:
                self.length = int(match[1])
        # Without a length, the body ends with the connection.
        self.will_close = self.will_close or not (self.chunked or self.length is not None)

    def stream(self, amt: int, decode_content: bool = True) -> Iterator[bytes]:
        """Yield the body in pieces of at most `amt` bytes, decompressed.

        Raises: DecodeError, ExchangeError, and the exceptions of sockets and http.client.
        """
        decoder = None
        codings = self._tokens("Content-Encoding")
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

    def _tokens(self, header: str) -> list[str]:
        values = self.headers.get_all(header, ())
        return [token.strip() for value in values for token in value.lower().split(",")]

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
            _read_head(self.fp)


def _read_head(file: _Reader) -> Fields:
    """Return the headers that come next.

    Raises: ExchangeError if they are too many or too long, or no headers.
    """
    head = b""
    for _ in range(_MAX_LINES):
        line = file.readline(_MAX_LINE + 1)
        head += line
        if len(line) > _MAX_LINE:
            raise ExchangeError(Reason.TOO_LARGE)
        if line in (b"\r\n", b"\n", b""):
            break
    else:
        raise ExchangeError(Reason.TOO_LARGE)
    if not _USUAL_HEAD.fullmatch(head):
        return _parse_unusual_head(head)
    return Fields(_FIELD.findall(head.decode("latin-1")))


def _parse_unusual_head(head: bytes) -> Fields:
    """Return the headers of any other head.

    Raises: ExchangeError if parsers may read it in different ways.
    """
    headers = http.client.parse_headers(io.BytesIO(head))
    try:
        assert_header_parsing(headers)
    except HeaderParsingError:
        raise ExchangeError(Reason.PROTOCOL_ERROR) from None
    # A folded value is one line (RFC 9112 §5.2).
    return Fields([(name, _FOLD.sub(" ", value)) for name, value in headers.items()])
