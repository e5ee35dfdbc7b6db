"""FAULTS: everything that a receiver, or the network before it, has been seen to do wrong."""

import gzip
import random
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from receiver import (
    bomb,
    distrusted_then,
    drip,
    flood,
    half_close,
    http,
    raw,
    reply,
    reset,
    silence,
    stall,
    under_tls,
    upon_hello,
)


@dataclass(frozen=True)
class Fault:
    """A fault of a receiver or of the network before it.

    `expected` is the verdict, reason and status of the outcome (no status: no response; `?`: with
    or without one). A `slow` fault ends at the channel's timeout, every other fault before it.
    `names` is the result of the resolver: addresses, an exception, or a function of the receiver.
    With `full`, a socket on 127.0.0.2 listens but accepts no connection.
    """

    name: str
    script: Callable
    expected: str
    slow: bool = False
    skips: str = ""
    tls: str = ""
    url: str = ""
    names: tuple[str, ...] | Exception | Callable | None = None
    allow: str = "127.0.0.0/8"
    host: str = ""
    body: int = 0
    full: bool = False
    wait: float | None = None
    says: str = ""

    @property
    def plain(self) -> bool:
        """Return True if an ordinary Receiver with this script is enough to produce the fault."""
        return not (self.slow or self.skips or self.tls or self.url or self.body)


def _each(expected: str, *statuses: int, **headers: str):
    return [
        Fault(f"status {status}", reply(status, b"{}", **headers), f"{expected} {status}")
        for status in statuses
    ]


def _line(name: str, line: bytes, expected: str):
    return Fault(f"status line: {name}", raw(line + b"\r\nContent-Length: 0\r\n\r\n"), expected)


def _coded(name: str, encoding: str, body: bytes, expected: str):
    return Fault(name, reply(200, body, Content_Encoding=encoding), expected)


def _retry_after(name: str, *values: str, wait: float | None):
    lines = [f"Retry-After: {one}" for one in values]
    return Fault(
        f"Retry-After: {name}",
        raw(http("429 Slow Down", *lines, "Content-Length: 0")),
        "retry http_status 429",
        wait=wait,
    )


FAULTS_NOW = 1_790_000_000.0
_OK = "delivered ok 200"
_CUT = "delivered ok_truncated 200"
_LATE = "retry timeout_total"
_CLOSED = "retry connection_closed"
_CLOSED_200 = "retry connection_closed 200"
_NONSENSE = "retry protocol_error"
_NONSENSE_200 = "retry protocol_error 200"
_NONSENSE_ANY = "retry protocol_error ?"
_REFUSED = "failed http_status 413"
_HERE = ("127.0.0.1",)
_CHUNKED = "Transfer-Encoding: chunked"
_GZIP = "Content-Encoding: gzip"
_HINTS = b"HTTP/1.1 103 Hints\r\nLink: </a>; rel=preload\r\n\r\n"
_HI = http("200 OK", "Content-Length: 2", body=b"hi")
_OPEN_200 = http("200 OK")
_NINE = http("200 OK", "Content-Length: 9")
_HALF = _NINE + b"half"
_NO = http("404 No", "Content-Length: 0")
_BUSY = http("503 Busy", "Content-Length: 0")
_BIG = http("413 Big", "Content-Length: 0")
_CHUNKS = http("200 OK", _CHUNKED)
_PACKED = http("200 OK", _GZIP)

STATUSES = [
    # The status alone decides.
    *_each("delivered ok", 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 250, 299),
    *_each("failed http_status", 300, 304, 305, 306, 310, 399),
    *_each("failed redirect", 301, 302, 303, 307, 308, Location="https://elsewhere.example/"),
    *_each(
        "failed http_status",
        400,
        401,
        402,
        403,
        404,
        405,
        406,
        407,
        409,
        411,
        412,
        413,
        414,
        415,
        416,
        417,
        418,
        421,
    ),
    *_each("failed http_status", 422, 423, 424, 426, 428, 431, 444, 451, 460, 499),
    *_each(
        "retry http_status",
        408,
        425,
        429,
        500,
        501,
        502,
        503,
        504,
        505,
        507,
        508,
        510,
        511,
        520,
        529,
        530,
        599,
    ),
    *_each("gone http_status", 410),
    *_each("failed http_status", 600, 700, 999),
    # Interim responses are skipped.
    Fault("100, then 200", raw(http("100 Continue") + _HI), _OK),
    Fault(
        "102, 103, 103, then 201",
        raw(http("102 P") + _HINTS * 2 + http("201 Created")),
        "delivered ok 201",
    ),
    Fault("103, then 404", raw(_HINTS + _NO), "failed http_status 404"),
    Fault("100 and nothing after it", raw(http("100 Continue")), _CLOSED),
    Fault("103 and nothing after it", raw(_HINTS), _CLOSED),
    Fault(
        "101 to another protocol",
        raw(http("101 Switching", "Upgrade: x") + b"\x00\x01\x02"),
        "failed http_status 101",
    ),
    # Statuses without a body, with one.
    Fault(
        "204 with a body",
        raw(http("204 None", "Content-Length: 2", body=b"hi")),
        "delivered ok 204",
    ),
    Fault("204 with an open end", stall(http("204 None")), "delivered ok 204"),
    Fault("204 that says chunked and closes", raw(http("204 None", _CHUNKED)), "delivered ok 204"),
    Fault("204 that says chunked and waits", stall(http("204 None", _CHUNKED)), "delivered ok 204"),
    Fault(
        "204 with a Content-Length and no body",
        raw(http("204 None", "Content-Length: 9")),
        "delivered ok 204",
    ),
    Fault(
        "205 with a body",
        raw(http("205 Reset", "Content-Length: 2", body=b"hi")),
        "delivered ok 205",
    ),
    Fault(
        "304 with a Content-Length and no body",
        stall(http("304 Same", "Content-Length: 99")),
        "failed http_status 304",
    ),
    # The target of a redirect is only shown.
    Fault("302 without Location", reply(302), "failed redirect 302", says="an empty address"),
    Fault(
        "302 to a broken URL",
        reply(302, Location="http://[broken"),
        "failed redirect 302",
        says="http://[broken",
    ),
    Fault(
        "302 to nothing", reply(302, Location=""), "failed redirect 302", says="an empty address"
    ),
    Fault(
        "302 with encoded line ends",
        reply(302, Location="http://h/%0d%0aX:%201"),
        "failed redirect 302",
        says="%0d%0aX",
    ),
    Fault("302 with a bare CR", reply(302, Location="http://h/\rX: 1"), "failed redirect 302"),
    Fault(
        "302 with bytes that are no latin-1 text",
        reply(302, Location="http://h/\xff\x80\x9f"),
        "failed redirect 302",
    ),
    Fault(
        "302 with a Location of 60 KB",
        reply(302, Location="http://h/" + "a" * 60_000),
        "failed redirect 302",
    ),
    Fault(
        "302 with two Locations",
        raw(http("302 F", "Location: /a", "Location: /b")),
        "failed redirect 302",
        says="/a",
    ),
    Fault("307 to itself", reply(307, Location="/hooks/t0ken-of-the-path"), "failed redirect 307"),
    Fault("308 to a file", reply(308, Location="file:///etc/passwd"), "failed redirect 308"),
    # Invalid status lines.
    _line("000", b"HTTP/1.1 000 Zero", _NONSENSE),
    _line("099", b"HTTP/1.1 099 Low", _NONSENSE),
    _line("four digits", b"HTTP/1.1 2000 OK", _NONSENSE),
    _line("four digits, the first a zero", b"HTTP/1.1 0200 OK", _NONSENSE),
    _line("two digits", b"HTTP/1.1 20 OK", _NONSENSE),
    _line("negative", b"HTTP/1.1 -200 OK", _NONSENSE),
    _line("with a plus", b"HTTP/1.1 +200 OK", _NONSENSE),
    _line("with an underscore", b"HTTP/1.1 2_0_0 OK", _NONSENSE),
    _line("letters", b"HTTP/1.1 abc OK", _NONSENSE),
    _line("a fraction", b"HTTP/1.1 200.1 OK", _NONSENSE),
    _line("fullwidth digits", "HTTP/1.1 ２００ OK".encode(), _NONSENSE),
    _line("superscript digits", b"HTTP/1.1 \xb2\xb2\xb2 OK", _NONSENSE),
    _line("missing", b"HTTP/1.1", _NONSENSE),
    _line("missing after a blank", b"HTTP/1.1 ", _NONSENSE),
    _line("no phrase", b"HTTP/1.1 200", _OK),
    _line("a phrase of bytes", b"HTTP/1.1 200 \xff\x00\x1b[31m", _OK),
    _line("two blanks", b"HTTP/1.1  200  OK", _OK),
    # Retry-After.
    _retry_after("seconds", "7", wait=7.0),
    _retry_after("a fraction", "1.5", wait=1.5),
    _retry_after("zero", "0", wait=0.0),
    _retry_after("a day", "86400", wait=21600.0),
    _retry_after("a date", formatdate(FAULTS_NOW + 60, usegmt=True), wait=60.0),
    _retry_after("a date that has passed", formatdate(FAULTS_NOW - 60, usegmt=True), wait=0.0),
    _retry_after(
        "a date in ten years", formatdate(FAULTS_NOW + 315_360_000, usegmt=True), wait=21600.0
    ),
    _retry_after("a date that does not exist", "Mon, 31 Feb 2031 25:61:61 GMT", wait=None),
    _retry_after("the year 99999", "Fri, 31 Dec 99999 23:59:59 GMT", wait=None),
    _retry_after("several", "7", "9", "soon", wait=9.0),
    *(
        _retry_after(f"garbage {text!r}", text, wait=None)
        for text in ("", "-5", "soon", "1e3", "0x10", "\xb2", "inf", "nan", "9" * 400)
    ),
]

SLOW = [
    Fault("silence", silence, _LATE, slow=True),
    Fault(
        "silence from the first byte on, over 200 KB unread",
        silence,
        _LATE,
        slow=True,
        skips="request",
        body=200_000,
    ),
    Fault("drip of interim responses", drip(b"", 0.02, http("102 Wait")), _LATE, slow=True),
    Fault("drip in the status line", drip(b"HTTP/1.1 2", 0.02, b"0"), _LATE, slow=True),
    Fault("drip in a header's name", drip(b"HTTP/1.1 200 OK\r\n", 0.02), _LATE, slow=True),
    Fault("drip in a header's value", drip(b"HTTP/1.1 200 OK\r\nX: "), _LATE, slow=True),
    Fault("drip of headers", drip(b"HTTP/1.1 200 OK\r\n", 0.02, b"X: a\r\n"), _LATE, slow=True),
    Fault("drip in a body", drip(), _CUT, slow=True),
    Fault("drip in a body with an open end", drip(_OPEN_200, 0.02), _CUT, slow=True),
    Fault(
        "drip in the body of a 500",
        drip(http("500 Oops", "Content-Length: 99")),
        "retry http_status 500",
        slow=True,
    ),
    Fault(
        "drip in the body of a 404",
        drip(http("404 No", "Content-Length: 99")),
        "failed http_status 404",
        slow=True,
    ),
    Fault(
        "drip in the body of a 302",
        drip(http("302 F", "Location: /x")),
        "failed redirect 302",
        slow=True,
    ),
    Fault("drip of chunks", drip(_CHUNKS, 0.02, b"1\r\na\r\n"), _CUT, slow=True),
    Fault("drip in a chunk", drip(_CHUNKS + b"ffff\r\n", 0.02), _CUT, slow=True),
    Fault("drip in a chunk's size", drip(_CHUNKS, 0.02, b"0"), _CUT, slow=True),
    Fault("drip in a chunk's extension", drip(_CHUNKS + b"1;", 0.02), _CUT, slow=True),
    Fault("drip in a trailer", drip(_CHUNKS + b"0\r\n", 0.02), _CUT, slow=True),
    Fault(
        "drip in a gzip body",
        drip(_PACKED + gzip.compress(b"a")[:10], 0.02, b"\0"),
        _CUT,
        slow=True,
    ),
    Fault(
        "drip in the name inside a gzip header",
        drip(_PACKED + b"\x1f\x8b\x08\x08" + bytes(6), 0.02),
        _CUT,
        slow=True,
    ),
    Fault("stall in the status line", stall(b"HTTP/1.1 200"), _LATE, slow=True),
    Fault("stall in the headers", stall(b"HTTP/1.1 200 OK\r\nContent-Len"), _LATE, slow=True),
    Fault("stall after 100", stall(http("100 Continue")), _LATE, slow=True),
    Fault("stall after the head", stall(_NINE), _CUT, slow=True),
    Fault("stall after the head, with an open end", stall(_OPEN_200), _CUT, slow=True),
    Fault(
        "stall after the head of a 503",
        stall(http("503 Busy", "Content-Length: 9")),
        "retry http_status 503",
        slow=True,
    ),
    Fault(
        "stall after the head of a 410", stall(http("410 Gone")), "gone http_status 410", slow=True
    ),
    Fault("stall in the body", stall(_HALF), _CUT, slow=True),
    Fault("stall in a chunk", stall(_CHUNKS + b"9\r\nhalf"), _CUT, slow=True),
    Fault("stall before the last chunk", stall(_CHUNKS + b"2\r\nhi\r\n"), _CUT, slow=True),
    Fault("stall after the last chunk", stall(_CHUNKS + b"2\r\nhi\r\n0\r\n"), _CUT, slow=True),
    Fault("stall in a gzip body", stall(_PACKED + gzip.compress(b"hello")[:12]), _CUT, slow=True),
    Fault("the whole response, and the connection stays open", stall(_HI), _OK),
    Fault(
        "the last chunk, and the connection stays open",
        stall(_CHUNKS + b"2\r\nhi\r\n0\r\n\r\n"),
        _OK,
    ),
    Fault(
        "an empty response, and the connection stays open",
        stall(http("200 OK", "Content-Length: 0")),
        _OK,
    ),
]

FLOODS = [
    Fault("endless headers", flood(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"), "retry too_large"),
    Fault("an endless header", flood(b"HTTP/1.1 200 OK\r\nX: ", b"a"), "retry too_large"),
    Fault("a header of 70 KB", raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000), "retry too_large"),
    Fault(
        "a head of 70 KB in lines of 1 KB",
        raw(http("200 OK", *["X: " + "a" * 1000] * 70)),
        "retry too_large",
    ),
    Fault(
        "a head of 60 KB", raw(http("200 OK", *["X: " + "a" * 1000] * 60, "Content-Length: 0")), _OK
    ),
    Fault("90 headers", raw(http("200 OK", *["X: a"] * 89, "Content-Length: 0")), _OK),
    Fault(
        "101 headers", raw(http("200 OK", *["X: a"] * 100, "Content-Length: 0")), "retry too_large"
    ),
    Fault("200 headers", raw(http("200 OK", *["X: a"] * 200)), "retry too_large"),
    Fault(
        "101 headers in an interim response",
        raw(http("103 Hints", *["X: a"] * 101) + _HI),
        "retry too_large",
    ),
    Fault(
        "an endless obs-fold", flood(b"HTTP/1.1 200 OK\r\nX: a\r\n", b" a\r\n"), "retry too_large"
    ),
    Fault("an endless status line", flood(b"HTTP/1.1 200 ", b"K"), "retry too_large"),
    Fault("endless bytes without any line end", flood(b"", b"\0"), "retry too_large"),
    Fault("endless 100", flood(b"", http("100 Continue")), "retry too_large"),
    Fault("9000 times 100", raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 9000), "retry too_large"),
    Fault("endless 103 with headers", flood(b"", _HINTS), "retry too_large"),
    Fault("an endless body", flood(_OPEN_200, b"a"), _CUT),
    Fault("an endless body of a 404", flood(http("404 No"), b"a"), "failed http_status 404"),
    Fault("an endless body of a 500", flood(http("500 Oops"), b"a"), "retry http_status 500"),
    Fault(
        "a body of a terabyte", flood(http("200 OK", "Content-Length: 1000000000000"), b"a"), _CUT
    ),
    Fault("a body of 100 KB", reply(200, b"a" * 100_000), _CUT),
    Fault("a body of 16 KB", reply(200, b"a" * 16_384), _OK),
    Fault("a body of 16 KB and a byte", reply(200, b"a" * 16_385), _CUT),
    Fault("endless chunks", flood(_CHUNKS, b"1000\r\n" + b"a" * 4096 + b"\r\n"), _CUT),
    Fault("endless chunks of one byte", flood(_CHUNKS, b"1\r\na\r\n"), _CUT),
    Fault("one chunk of a terabyte", flood(_CHUNKS + b"e8d4a51000\r\n", b"a"), _CUT),
    Fault("an endless chunk size", flood(_CHUNKS, b"0"), _CUT),
    Fault("an endless chunk extension", flood(_CHUNKS + b"1;", b"a"), _CUT),
    Fault("endless trailers", flood(_CHUNKS + b"0\r\n", b"X: a\r\n"), _CUT),
    Fault("an endless trailer", flood(_CHUNKS + b"0\r\nX: ", b"a"), _CUT),
    Fault("endless bytes after the response", flood(_HI, b"a"), _OK),
]

BOMBS = [
    Fault("gzip bomb of 50 MB", bomb(50, "gzip"), _CUT),
    Fault(
        "gzip bomb of 50 MB in a 500", bomb(50, "gzip", status="500 Oops"), "retry http_status 500"
    ),
    Fault(
        "gzip bomb of 50 MB in a 404", bomb(50, "gzip", status="404 No"), "failed http_status 404"
    ),
    Fault("x-gzip bomb of 50 MB", bomb(50, "x-gzip"), _CUT),
    Fault("deflate bomb of 50 MB", bomb(50, "deflate", wbits=15), _CUT),
    Fault("raw deflate bomb of 50 MB", bomb(50, "deflate", wbits=-15), _CUT),
    Fault(
        "gzip in gzip of 500 MB",
        raw(
            lambda: http(
                "200 OK",
                "Content-Encoding: gzip, gzip",
                body=gzip.compress(gzip.compress(bytes(1_000_000)) * 500),
            )
        ),
        _CUT,
    ),
    Fault(
        "gzip of 100 KB in chunks of one byte",
        raw(
            lambda: (
                http("200 OK", _CHUNKED, _GZIP)
                + b"".join(b"1\r\n%c\r\n" % one for one in gzip.compress(bytes(100_000)))
            )
        ),
        _CUT,
    ),
    Fault(
        "endless name in a gzip header", flood(_PACKED + b"\x1f\x8b\x08\x08" + bytes(6), b"a"), _CUT
    ),
    Fault("endless empty gzip members", flood(_PACKED, gzip.compress(b"")), _CUT),
    Fault(
        "endless empty deflate blocks",
        flood(http("200 OK", "Content-Encoding: deflate"), b"\0\0\0\xff\xff"),
        _CUT,
    ),
    # Content encodings, valid and not.
    _coded("gzip", "gzip", gzip.compress(b"fine"), _OK),
    _coded("deflate", "deflate", zlib.compress(b"fine"), _OK),
    _coded("gzip of several members", "gzip", gzip.compress(b"a") * 3, _OK),
    _coded("gzip of nothing", "gzip", gzip.compress(b""), _OK),
    Fault("no bytes that say gzip", reply(200, Content_Encoding="gzip"), _OK),
    _coded("gzip followed by garbage", "gzip", gzip.compress(b"fine") + b"garbage", _OK),
    _coded("gzip, truncated by the receiver", "gzip", gzip.compress(b"fine" * 99)[:-9], _OK),
    _coded("gzip with a wrong checksum", "gzip", gzip.compress(b"fine")[:-8] + bytes(8), _CUT),
    _coded("gzip with a broken middle", "gzip", gzip.compress(b"fine")[:10] + b"\xff" * 20, _CUT),
    _coded("text that says gzip", "gzip", b"not gzip", _CUT),
    _coded("text that says deflate", "deflate", b"not deflate", _CUT),
    Fault(
        "text that says gzip, in a 404",
        reply(404, b"not gzip", Content_Encoding="gzip"),
        "failed http_status 404",
    ),
    _coded("gzip that says deflate", "deflate", gzip.compress(b"fine"), _CUT),
    _coded("gzip in gzip", "gzip, gzip", gzip.compress(gzip.compress(b"fine")), _OK),
    _coded("six encodings", ", ".join(["gzip"] * 6), b"a", _CUT),
    _coded("5000 encodings", ", ".join(["gzip"] * 5000), b"a", _CUT),
    _coded("brotli, which was not requested", "br", b"\x06", _OK),
    _coded("zstd, which was not requested", "zstd", b"\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00hi", _OK),
    _coded("an unknown encoding", "rot13, \xff", b"\0\1\2", _OK),
    _coded("identity", "identity", b"hi", _OK),
]


def _length(name: str, *values: str, expected: str = _NONSENSE_ANY, body: bytes = b"hello"):
    lines = [f"Content-Length: {value}" for value in values]
    return Fault(f"Content-Length: {name}", raw(http("200 OK", *lines, body=body)), expected)


def _chunked(name: str, body: bytes, expected: str):
    return Fault(f"chunks: {name}", raw(_CHUNKS + body), expected)


def _head(name: str, head: bytes, expected: str):
    return Fault(f"head: {name}", raw(head), expected)


def _banner(name: str, data: bytes, expected: str = _NONSENSE):
    return Fault(f"{name} on this port", raw(data), expected)


def _text(
    name: str,
    body: bytes,
    kind: str = "text/plain",
    status: int = 500,
    expected: str = "retry http_status 500",
):
    return Fault(f"text: {name}", reply(status, body, Content_Type=kind), expected)


_RANDOM = random.Random(20).randbytes(2000)
_ALERT = b"\x15\x03\x03\x00\x02\x02"
_SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"

BROKEN_HTTP = [
    # Versions.
    _head("HTTP/0.9, a body alone", b"<html>It works!</html>\n", _NONSENSE),
    _head("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhi", _OK),
    _head("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n", _NONSENSE),
    _head("HTTP/2", b"HTTP/2 200\r\n\r\n", _NONSENSE),
    _head("HTTP/3.0", b"HTTP/3.0 200 OK\r\n\r\n", _NONSENSE),
    _head("http/1.1 in small letters", b"http/1.1 200 OK\r\n\r\n", _NONSENSE),
    _head("ICY 200 OK", b"ICY 200 OK\r\n\r\n", _NONSENSE),
    _head("a request instead of a response", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", _NONSENSE),
    _head("an empty line before it", b"\r\n" + _HI, _NONSENSE),
    _head("cut off in the status line", b"HTTP/1.1 20", _NONSENSE),
    # Lines and headers. A head that cannot be parsed to its end may have lost its framing.
    _head("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", _OK),
    _head("bare CR in the status line", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nhi", _OK),
    _head("NUL in a value", http("200 OK", "X: a\0b", "Content-Length: 2", body=b"hi"), _OK),
    _head(
        "non-latin bytes in a value",
        "HTTP/1.1 200 OK\r\nX: 日本\r\nContent-Length: 2\r\n\r\nhi".encode(),
        _OK,
    ),
    _head("obs-fold", http("200 OK", "X: a", " b", "\tc", "Content-Length: 2", body=b"hi"), _OK),
    _head("an empty value", http("200 OK", "X:", "Content-Length: 2", body=b"hi"), _OK),
    _head("no header at all", b"HTTP/1.1 200 OK\r\n\r\nhi", _OK),
    _head(
        "a line without a colon",
        http("200 OK", "nonsense", "Content-Length: 9", body=b"hi"),
        _NONSENSE_ANY,
    ),
    _head(
        "a blank before the colon",
        http("200 OK", "X : a", "Content-Length: 9", body=b"hi"),
        _NONSENSE_ANY,
    ),
    _head(
        "a header without a name",
        http("200 OK", ": a", "Content-Length: 9", body=b"hi"),
        _NONSENSE_ANY,
    ),
    _head(
        "non-latin bytes in a name",
        http("200 OK", "X\xff: a", "Content-Length: 9", body=b"hi"),
        _NONSENSE_ANY,
    ),
    _head(
        "a first line that begins with a blank",
        http("200 OK", " X: a", "Content-Length: 9", body=b"hi"),
        _NONSENSE_ANY,
    ),
    _head(
        "cut off before its end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        "retry connection_closed ?",
    ),
    _head("cut off in a header", b"HTTP/1.1 200 OK\r\nContent-Le", "retry connection_closed ?"),
    # Lengths.
    _length("twice the same", "5", "5", expected=_OK),
    _length("twice the same in one line", "5, 5", expected=_OK),
    _length("two that differ", "5", "4"),
    _length("two that differ in one line", "5, 4"),
    _length("negative", "-5"),
    _length("a fraction", "5.0"),
    _length("hexadecimal", "0x5"),
    _length("with a plus", "+5"),
    _length("with an underscore", "0_5"),
    _length("letters", "five"),
    _length("nothing", ""),
    _length("superscript", "\xb2"),
    _length("5000 digits", "9" * 5000),
    _length("thirty digits", "9" * 30, expected=_CLOSED_200),
    _length("short by 85", "90", expected=_CLOSED_200),
    _length("short by all", "90", expected=_CLOSED_200, body=b""),
    _length("too much body", "2", expected=_OK),
    Fault(
        "a 404 that ends too early",
        raw(http("404 No", "Content-Length: 90", body=b"hi")),
        "retry connection_closed 404",
    ),
    Fault(
        "gzip that ends too early",
        raw(http("200 OK", _GZIP, "Content-Length: 90", body=gzip.compress(b"a"))),
        _CLOSED_200,
    ),
    Fault(
        "Content-Length beside chunked",
        raw(http("200 OK", "Content-Length: 3", _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")),
        _OK,
    ),
    Fault(
        "an unknown Transfer-Encoding", raw(http("200 OK", "Transfer-Encoding: x", body=b"hi")), _OK
    ),
    Fault(
        "Transfer-Encoding: CHUNKED",
        raw(http("200 OK", "Transfer-Encoding: CHUNKED", body=b"2\r\nhi\r\n0\r\n\r\n")),
        _OK,
    ),
    Fault(
        "Transfer-Encoding: gzip, chunked",
        raw(http("200 OK", "Transfer-Encoding: gzip, chunked", body=b"2\r\nhi\r\n0\r\n\r\n")),
        _OK,
    ),
    Fault(
        "gzip, chunked, beside another length",
        raw(
            http(
                "200 OK",
                "Content-Length: 3",
                "Transfer-Encoding: gzip, chunked",
                body=b"2\r\nhi\r\n0\r\n\r\n",
            )
        ),
        "delivered ok 200",
    ),
    # Chunks.
    _chunked("two", b"2\r\nhi\r\n3;a=b\r\nyou\r\n0\r\nX: trailer\r\n\r\n", _OK),
    _chunked("leading zeros", b"0002\r\nhi\r\n000\r\n\r\n", _OK),
    _chunked("no trailing line", b"2\r\nhi\r\n0\r\n", _OK),
    _chunked("bare LF", b"2\nhi\n0\n\n", _NONSENSE_200),
    _chunked("letters for a size", b"zz\r\nabc", _NONSENSE_200),
    _chunked("no size", b"\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("an extension and no size", b";a=b\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("a negative size", b"-2\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("a size with a plus", b"+2\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("a size with a prefix", b"0x2\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("a size with an underscore", b"0_2\r\nhi\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("a size of a hundred digits", b"f" * 100 + b"\r\nhi\r\n0\r\n\r\n", _CLOSED_200),
    _chunked("no line end after the data", b"2\r\nhiXX0\r\n\r\n", _NONSENSE_200),
    _chunked("longer than its size", b"2\r\nhello\r\n0\r\n\r\n", _NONSENSE_200),
    _chunked("none, the body is plain", b"hello", _NONSENSE_200),
    _chunked("closed before the first", b"", _CLOSED_200),
    _chunked("closed in the data", b"9\r\nhalf", _CLOSED_200),
    _chunked("closed after the data", b"2\r\nhi", _CLOSED_200),
    _chunked("closed before the last", b"2\r\nhi\r\n", _CLOSED_200),
    # Connections that break.
    Fault("closed without a byte", raw(b""), _CLOSED),
    Fault("closed without having read", raw(b""), _CLOSED, skips="request"),
    Fault("closed while 200 KB are sent", raw(b""), _CLOSED, skips="request", body=200_000),
    Fault("RST without having read", reset(), _CLOSED, skips="request"),
    Fault("RST while 200 KB are sent", reset(), _CLOSED, skips="request", body=200_000),
    Fault("RST before the head", reset(), _CLOSED),
    Fault("RST in the status line", reset(b"HTTP/1.1 20"), _CLOSED),
    Fault("RST in the headers", reset(b"HTTP/1.1 200 OK\r\nContent-Le"), _CLOSED),
    Fault("RST after 100", reset(http("100 Continue")), _CLOSED),
    Fault("RST after the head", reset(_NINE), _CLOSED_200),
    Fault("RST after the head, with an open end", reset(_OPEN_200), _CLOSED_200),
    Fault("RST in the body", reset(_HALF), _CLOSED_200),
    Fault(
        "RST in the body of a 500",
        reset(http("500 Oops", body=b"half")),
        "retry connection_closed 500",
    ),
    Fault("RST in a chunk's size", reset(_CHUNKS + b"2"), _CLOSED_200),
    Fault("RST in a chunk", reset(_CHUNKS + b"9\r\nhalf"), _CLOSED_200),
    Fault("RST before the last chunk", reset(_CHUNKS + b"2\r\nhi\r\n"), _CLOSED_200),
    Fault("RST after the whole response", reset(_HI), _OK),
    Fault("half a close without a byte", half_close(), _CLOSED),
    Fault("half a close after the response", half_close(_OPEN_200 + b"hi"), _OK),
    Fault("half a close in the body", half_close(_HALF), _CLOSED_200),
    # A response before the request was read counts.
    Fault("404 without having read, closed", raw(_NO), "failed http_status 404", skips="request"),
    Fault("413 instead of 200 KB, closed", raw(_BIG), _REFUSED, skips="request", body=200_000),
    Fault(
        "413 instead of 200 KB, half closed",
        half_close(_BIG),
        _REFUSED,
        skips="request",
        body=200_000,
    ),
    Fault("413 instead of 200 KB, RST", reset(_BIG), _REFUSED, skips="request", body=200_000),
    Fault("503 without having read, RST", reset(_BUSY), "retry http_status 503", skips="request"),
    Fault("two responses at once", raw(_HI + http("500 Oops", "Content-Length: 0")), _OK),
    Fault("a response and half of another", raw(_HI + b"HTTP/1.1 5"), _OK),
    # Other protocols.
    _banner("SSH", b"SSH-2.0-OpenSSH_9\r\n"),
    _banner("Redis", b"-ERR unknown command 'POST'\r\n"),
    _banner("SMTP", b"220 mail.example ESMTP Postfix\r\n"),
    _banner("MySQL", b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00"),
    _banner("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _banner("HTTP/2 SETTINGS", _SETTINGS),
    _banner("a TLS alert", _ALERT + b"\x28"),
    _banner("random bytes", _RANDOM),
    _banner("NULs", bytes(3000)),
    _banner("a single byte", b"H"),
    _banner("a single line end", b"\r\n"),
    _banner("RTSP", b"RTSP/1.0 400 Bad Request\r\n\r\n"),
    _banner("SIP", b"SIP/2.0 400 Bad Request\r\n\r\n"),
    _banner(
        "a TLS server that responds in HTTP",
        http("400 Plain HTTP on an HTTPS port"),
        "failed http_status 400",
    ),
    Fault(
        "an FTP banner before the request",
        stall(b"220 (vsFTPd 3.0.5)\r\n"),
        _NONSENSE,
        skips="request",
    ),
    Fault(
        "an SSH banner before the request",
        stall(b"SSH-2.0-OpenSSH_9\r\n"),
        _NONSENSE,
        skips="request",
    ),
    # A body is shown, never interpreted.
    _text("HTML on 200", b"<!doctype html><title>Log in</title>", "text/html", 200, _OK),
    _text("random bytes on 200", _RANDOM, "application/octet-stream", 200, _OK),
    _text("random bytes", _RANDOM),
    _text("NULs", bytes(3000)),
    _text("UTF-16 with BOM", "naïve".encode("utf-16"), "text/plain; charset=utf-16"),
    _text("UTF-16 with BOM that says nothing", "naïve".encode("utf-16")),
    _text("half a UTF-16 character", b"\xff\xfea", "text/plain; charset=utf-16"),
    _text("half a UTF-8 character", b"\xe2\x82"),
    _text("ANSI and bidi", b"\x1b[2J\x1b]0;a\x07\xe2\x80\xaeevil\xe2\x81\xa6"),
    _text("surrogates in UTF-8", b"\xed\xa0\x80"),
    *(
        _text(f"charset {charset!r}", b"\xff\xfea", f"text/plain; charset={charset}")
        for charset in (
            "no-such-charset",
            "a\0b",
            "idna",
            "punycode",
            "rot13",
            "hex",
            "base64",
            "zlib",
            "unicode_escape",
        )
    ),
    *(
        _text(f"charset {charset!r}", b"\xff\xfea", f"text/plain; charset={charset}")
        for charset in ("undefined", "utf-7", "mbcs", "", '"utf-8', "\xff", "x" * 9000)
    ),
]


def _tls(name: str, script, expected: str, tls: str = "good", **more):
    return Fault(f"TLS: {name}", script, expected, tls=tls, **more)


def _shake(name: str, script, expected: str, **more):
    return Fault(
        f"handshake: {name}", script, expected, **{"tls": "good", "skips": "handshake", **more}
    )


def _look(name: str, script, **more):
    return _shake(
        f"distrusted, then {name}",
        distrusted_then(script),
        "retry tls_self_signed",
        tls="self-signed",
        **more,
    )


BROKEN_TLS = [
    # Certificates.
    _tls("a good certificate", raw(_HI), _OK),
    _tls("TLS 1.2", raw(_HI), _OK, "TLS 1.2"),
    _tls("an intermediate certificate that is sent along", raw(_HI), _OK, "intermediate"),
    _tls("expired", raw(_HI), "retry tls_expired", "expired"),
    _tls("not yet valid", raw(_HI), "retry tls_not_yet_valid", "not yet valid"),
    _tls("self-signed", raw(_HI), "retry tls_self_signed", "self-signed"),
    _tls("an unknown authority", raw(_HI), "retry tls_untrusted", "unknown authority"),
    _tls(
        "an unknown authority that is sent along",
        raw(_HI),
        "retry tls_untrusted",
        "unknown authority and its root",
    ),
    _tls(
        "an intermediate certificate that is missing",
        raw(_HI),
        "retry tls_untrusted",
        "no intermediate",
    ),
    _tls("another address", raw(_HI), "retry tls_hostname", "another name"),
    _tls(
        "another name", raw(_HI), "retry tls_hostname", url="https://bad.test:{port}/", names=_HERE
    ),
    _tls("no names but the old common one", raw(_HI), "retry tls_hostname", "no SAN"),
    # Versions and client certificates.
    _tls("TLS 1.0 alone", raw(_HI), "retry tls_protocol", "TLS 1.0"),
    _tls("TLS 1.1 alone", raw(_HI), "retry tls_protocol", "TLS 1.1"),
    _tls("wants a client certificate, TLS 1.2", raw(_HI), "retry tls_handshake", "asks, TLS 1.2"),
    _tls(
        "wants a client certificate, TLS 1.3",
        raw(_HI),
        "retry tls_handshake",
        "asks, TLS 1.3",
        says="certificate required",
    ),
    # During the handshake.
    _shake("HTTP in the clear", upon_hello(http("400 Bad Request")), "retry tls_not_tls"),
    _shake("HTTP in the clear at once", raw(http("400 Bad Request")), "retry tls_not_tls"),
    _shake("an SSH banner", stall(b"SSH-2.0-OpenSSH_9\r\n"), "retry tls_not_tls"),
    _shake("an SMTP banner", stall(b"220 mail.example ESMTP\r\n"), "retry tls_not_tls"),
    _shake("random bytes", upon_hello(_RANDOM), "retry tls_not_tls"),
    _shake("NULs", upon_hello(bytes(100)), "retry tls_not_tls"),
    _shake("endless text", flood(b"", b"a"), "retry tls_not_tls"),
    _shake("closed at once", raw(b""), "retry tls_handshake"),
    _shake("closed after the hello", upon_hello(b""), "retry tls_handshake"),
    _shake("closed in a record", upon_hello(b"\x16\x03\x03\x00\x7a\x02"), "retry tls_handshake"),
    _shake("RST at once", reset(), "retry tls_handshake"),
    _shake("RST in a record", reset(b"\x16\x03\x03\x00\x7a\x02"), "retry tls_handshake"),
    _shake("silence", silence, _LATE, slow=True),
    _shake("drip", drip(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", 0.02), _LATE, slow=True),
    _shake(
        "a record of garbage", upon_hello(b"\x16\x03\x03\x00\x08garbage!"), "retry tls_handshake"
    ),
    _shake(
        "alert handshake failure",
        upon_hello(_ALERT + b"\x28"),
        "retry tls_handshake",
        says="handshake failure",
    ),
    _shake(
        "alert internal error",
        upon_hello(_ALERT + b"\x50"),
        "retry tls_handshake",
        says="internal error",
    ),
    _shake(
        "alert access denied",
        upon_hello(_ALERT + b"\x31"),
        "retry tls_handshake",
        says="access denied",
    ),
    _shake(
        "alert unrecognized name",
        upon_hello(_ALERT + b"\x70"),
        "retry tls_handshake",
        says="unrecognized name",
    ),
    _shake("alert protocol version", upon_hello(_ALERT + b"\x46"), "retry tls_protocol"),
    _shake("endless warnings", flood(b"", b"\x15\x03\x03\x00\x02\x01\x00"), "retry tls_handshake"),
    _shake(
        "endless changes of cipher", flood(b"", b"\x14\x03\x03\x00\x01\x01"), "retry tls_handshake"
    ),
    _shake("endless empty records", flood(b"", b"\x16\x03\x03\x00\x00"), "retry tls_handshake"),
    # An untrusted certificate is fetched over a second connection.
    _look("silence", silence, slow=True),
    _look("a drip", drip(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", 0.02), slow=True),
    _look("RST", reset()),
    _look("a close", raw(b"")),
    _look("HTTP in the clear", raw(http("400 Bad Request"))),
    _look("endless text", flood(b"", b"a")),
    # Within TLS.
    _tls("closed after the handshake", raw(b""), _CLOSED, skips="request"),
    _tls("RST after the handshake", reset(), _CLOSED, skips="request"),
    _tls("closed without a byte", raw(b""), _CLOSED),
    _tls("closed without a byte, TLS 1.2", raw(b""), _CLOSED, "TLS 1.2"),
    _tls("RST before the head", reset(), _CLOSED),
    _tls("RST in the body, TLS 1.2", reset(_HALF), _CLOSED_200, "TLS 1.2"),
    # With TLS 1.3, OpenSSL may lose data before an RST: it fails at the tickets that precede it.
    _tls("RST in the body", reset(_HALF), "retry connection_closed ?"),
    _tls("cut off in the body, without close_notify", raw(_HALF), _CLOSED_200),
    _tls("an open end, without close_notify", raw(_OPEN_200 + b"hi"), _OK),
    _tls("bytes in the clear instead of a response", under_tls(b"", http("200 OK")), _NONSENSE),
    _tls("bytes in the clear in the body", under_tls(_OPEN_200, b"in the clear"), _NONSENSE_200),
    _tls(
        "413 instead of 200 KB, closed, TLS 1.2",
        raw(_BIG),
        _REFUSED,
        "TLS 1.2",
        skips="request",
        body=200_000,
    ),
    _tls(
        "413 instead of 200 KB, half closed",
        half_close(_BIG),
        _REFUSED,
        skips="request",
        body=200_000,
    ),
    _tls("random bytes", raw(_RANDOM), _NONSENSE),
    _tls("no status", raw(b"HTTP/1.1 abc OK\r\n\r\n"), _NONSENSE),
    _tls("letters for a chunk's size", raw(_CHUNKS + b"zz\r\n"), _NONSENSE_200),
    _tls("endless headers", flood(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"), "retry too_large"),
    _tls("an endless body", flood(_OPEN_200, b"a"), _CUT),
    _tls("gzip bomb of 50 MB", bomb(50, "gzip"), _CUT),
    _tls("silence", silence, _LATE, slow=True),
    _tls("silence over 200 KB unread", silence, _LATE, slow=True, skips="request", body=200_000),
    _tls("drip in a header", drip(b"HTTP/1.1 200 OK\r\nX: ", 0.02), _LATE, slow=True),
    _tls("drip in the body", drip(), _CUT, slow=True),
    _tls("stall in the body", stall(_HALF), _CUT, slow=True),
    _tls("stall in the body, TLS 1.2", stall(_NINE), _CUT, "TLS 1.2", slow=True),
    # Server names.
    _tls(
        "a name",
        raw(_HI),
        _OK,
        url="https://good.test:{port}/",
        names=_HERE,
        host="good.test:{port}",
    ),
    _tls("a trailing dot", raw(_HI), _OK, url="https://good.test.:{port}/", names=_HERE),
    _tls(
        "an IDN host",
        raw(_HI),
        _OK,
        url="https://bücher.test:{port}/",
        names=_HERE,
        host="xn--bcher-kva.test:{port}",
    ),
]


def _name(name: str, names, expected: str = _OK, script=None, **more):
    more.setdefault("url", "http://name.example:{port}/")
    return Fault(f"name: {name}", script or raw(_HI), expected, names=names, **more)


def _literal(host: str, expected: str = _OK, **more):
    result = "allowed" if expected == _OK else "refused"
    if expected != _OK and "allow" in more:
        result = f"refused although {more['allow']} is allowed"
    return Fault(
        f"{host} in the URL, {result}", raw(_HI), expected, url=f"http://{host}:{{port}}/", **more
    )


_BLOCKED = "blocked blocked_address"
_EVERYTHING = "0.0.0.0/0,::/0"
_DEAD = tuple(f"127.0.0.{last}" for last in range(3, 10))
_INSIDE = (
    *(
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
    ),
    *(
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
    ),
    *(
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
    ),
    *(
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fc00::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
        "ff02::1%lo",
        "100::1",
        "5f00::1",
    ),
)
_METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
)

ADDRESSES = [
    # A name that resolves to a private address is refused before any connection.
    *(_name(f"resolves to {address}", (address,), _BLOCKED) for address in _INSIDE),
    *(
        _name(f"resolves to {address}, all allowed", (address,), _BLOCKED, allow=_EVERYTHING)
        for address in _METADATA
    ),
    _name("resolves to the loopback, something else allowed", _HERE, _BLOCKED, allow="10.0.0.0/8"),
    _name("resolves to two private addresses", ("10.0.0.1", "192.168.0.1"), _BLOCKED),
    # Permitted addresses are tried in order, at most six.
    _name("a refused address first", ("10.0.0.1", "169.254.169.254", "fe80::1%lo", "127.0.0.1")),
    _name("a refused address last", ("127.0.0.1", "10.0.0.1")),
    _name("a dead address first", (_DEAD[0], "127.0.0.1")),
    _name("five dead addresses first", (*_DEAD[:5], "127.0.0.1")),
    _name("six dead addresses first", (*_DEAD[:6], "127.0.0.1"), "retry connect_refused"),
    _name("all addresses dead", _DEAD, "retry connect_refused", says="connection refused"),
    _name(
        "a thousand dead addresses",
        tuple(f"127.1.{i // 250}.{i % 250 + 1}" for i in range(1000)),
        "retry connect_refused",
    ),
    _name("the same address ten times", (*[_DEAD[0]] * 10, "127.0.0.1")),
    _name("a dead IPv6 address first", ("::1", "127.0.0.1"), allow="127.0.0.0/8,::1"),
    _name("a silent address first", ("127.0.0.2", "127.0.0.1"), full=True, slow=True),
    _name(
        "a dead address, then a silent one",
        (_DEAD[0], "127.0.0.2"),
        "retry timeout_connect",
        full=True,
        slow=True,
    ),
    _name("the first lookup alone counts", _HERE, host="name.example:{port}"),
    # Names that do not resolve.
    _name("resolves to nothing", (), "retry dns_failure"),
    _name(
        "is not known",
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        "retry dns_failure",
        says="the name does not exist",
    ),
    _name("has no address", socket.gaierror(socket.EAI_NODATA, "none"), "retry dns_failure"),
    _name(
        "the name server fails for now",
        socket.gaierror(socket.EAI_AGAIN, "again"),
        "retry dns_failure",
        says="did not respond",
    ),
    _name(
        "the name server fails for good",
        socket.gaierror(socket.EAI_FAIL, "fail"),
        "retry dns_failure",
    ),
    _name("the system fails", OSError(24, "too many open files"), "retry dns_failure"),
    _name("cannot be encoded", UnicodeError("label too long"), "retry dns_failure"),
    _name("answers with no address", ("not an address",), "retry dns_failure"),
    _name(
        "the resolver hangs",
        lambda receiver: receiver.stopped.wait() and (),
        "retry dns_timeout",
        slow=True,
    ),
    # Spellings of names.
    _name("IDN", _HERE, url="http://bücher.example:{port}/", host="xn--bcher-kva.example:{port}"),
    _name("capitals", _HERE, url="http://NAME.Example:{port}/", host="name.example:{port}"),
    _name("a trailing dot", _HERE, url="http://name.example.:{port}/", host="name.example.:{port}"),
    _name("a trailing dot, refused", ("10.0.0.1",), _BLOCKED, url="http://name.example.:{port}/"),
    _name("allowed by its name", _HERE, allow="name.example"),
    _name("allowed by another's name", _HERE, _BLOCKED, allow="other.example"),
    _name("localhost", ("::1", "127.0.0.1"), url="http://localhost:{port}/"),
    _name("localhost, refused", (), _BLOCKED, url="http://localhost:{port}/", allow=""),
    _name(
        "localhost that resolves elsewhere", ("10.0.0.1",), _BLOCKED, url="http://localhost:{port}/"
    ),
    # Spellings of addresses.
    *(
        _literal(host)
        for host in (
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f000001",
            "127.0.0.1.",
        )
    ),
    *(
        _literal(host, _BLOCKED, allow="10.0.0.0/8")
        for host in ("127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.")
    ),
    *(
        _literal(host, _BLOCKED)
        for host in (
            "0",
            "0.0.0.0",
            "10.1",
            "0xa9.254.169.254",
            "2852039166",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
        )
    ),
    *(
        _literal(host, _BLOCKED, allow=_EVERYTHING)
        for host in ("2852039166", "0251.0376.0251.0376", "[::ffff:a9fe:a9fe]")
    ),
    _literal("[::ffff:127.0.0.1]", _BLOCKED),
    _literal("[::ffff:127.0.0.1]", allow="::ffff:127.0.0.1"),
    _literal("[::1]", _BLOCKED),
    # Addresses that accept no connection.
    Fault(
        "nothing listens",
        raw(_HI),
        "retry connect_refused",
        url="http://127.0.0.2:{port}/",
        says="connection refused",
    ),
    Fault(
        "nothing listens for TLS",
        raw(_HI),
        "retry connect_refused",
        url="https://127.0.0.2:{port}/",
    ),
    Fault(
        "takes no connection",
        raw(_HI),
        "retry timeout_connect",
        url="http://127.0.0.2:{port}/",
        full=True,
        slow=True,
    ),
    Fault(
        "takes no connection for TLS",
        raw(_HI),
        "retry timeout_connect",
        url="https://127.0.0.2:{port}/",
        full=True,
        slow=True,
    ),
]

FAULTS = [*STATUSES, *SLOW, *FLOODS, *BOMBS, *BROKEN_HTTP, *BROKEN_TLS, *ADDRESSES]
