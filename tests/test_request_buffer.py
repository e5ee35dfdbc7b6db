"""A request is complete exactly when gunicorn can read all of it without waiting."""

import io

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from serving.request_buffer import (
    MAX_BODY,
    MAX_CHUNKED_BODY,
    MAX_DISCARDED,
    MAX_HEAD,
    RequestBuffer,
)

HEAD = b"POST /login HTTP/1.1\r\nHost: tocsin\r\n"


class NeverWaits:
    """A socket for gunicorn's parser that has nothing more to read."""

    def recv(self, _size):
        raise AssertionError("gunicorn waits for more of the request")


def read_by_gunicorn(data):
    """Return the request that gunicorn reads, as its path and body; "" if it refuses it."""
    parser = RequestParser(Config(), NeverWaits(), ("127.0.0.1", 1))
    parser.unreader.unread(data)
    try:
        request = next(parser)
        return request.path, request.body.read()
    except (ParseException, NoMoreData, StopIteration, ValueError):
        return ""


def fed(data, sizes=()):
    """Return a buffer that got some bytes in pieces, until it was complete or refused."""
    buffer = RequestBuffer()
    stream = io.BytesIO(data)
    for size in [*sizes, len(data)]:
        piece = stream.read(size)
        if piece:
            buffer.feed(piece)
        if buffer.is_complete or buffer.refused_with:
            break
    return buffer


def with_length(body):
    return HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(chunks, trailer=b""):
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailer + b"\r\n"


bodies = st.binary(max_size=300)
requests = st.one_of(
    bodies.map(with_length),
    st.lists(bodies, max_size=5).map(chunked),
    st.lists(bodies, max_size=5).map(lambda chunks: chunked(chunks, b"X-Sum: 1\r\nY: 2\r\n")),
    st.just(b"GET / HTTP/1.1\r\nHost: tocsin\r\n\r\n"),
    st.just(b"GET / HTTP/1.0\r\n\r\n"),
)
pieces = st.lists(st.integers(1, 200), max_size=20)


@given(requests, pieces)
def test_a_request_is_complete_with_its_last_byte_in_whatever_pieces_it_comes(request, sizes):
    buffer = fed(request, sizes)
    assert buffer.is_complete
    assert not buffer.refused_with
    assert read_by_gunicorn(buffer.take()) == read_by_gunicorn(request) != ""


@given(requests, st.data())
def test_a_request_without_its_last_bytes_is_not_complete(request, data):
    end = data.draw(st.integers(0, len(request) - 1))
    assert not fed(request[:end]).is_complete


@given(requests, requests, pieces)
def test_the_bytes_after_a_request_are_kept_for_the_next_one(first, second, sizes):
    buffer = fed(first + second, sizes)
    assert buffer.is_complete
    assert (first + second).lstrip(b"\r\n").startswith(buffer.take())


HEADERS = [
    b"Content-Length: 3",
    b"content-length:3",
    b"Content-Length:  3  ",
    b"Content-Length : 3",
    b"Content-Length: +3",
    b"Content-Length: 3, 3",
    b"Content-Length: -1",
    b"Content-Length: \xb2",
    b"Content-Length: " + b"9" * 30,
    b"X-Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding:chunked ",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Expect: 100-continue",
    b"Expect: something else",
    b" folded",
    b"no colon",
    b"",
]
ENDS = [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\r\n\r\n\r\n"]
BODIES = [b"", b"abc", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n"]
ODD_BODIES = [b"zz\r\n", b"-1\r\n", b"3\r\nabcde\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", b"g" * 2000]


@given(
    st.lists(st.sampled_from(HEADERS), max_size=3),
    st.sampled_from(ENDS),
    st.sampled_from(BODIES + ODD_BODIES),
    pieces,
)
def test_gunicorn_never_waits_for_more_of_a_request_that_is_complete(headers, end, body, sizes):
    buffer = fed(HEAD + b"\r\n".join(headers) + end + body, sizes)
    if buffer.is_complete and not buffer.refused_with:
        read_by_gunicorn(buffer.take())


def test_empty_lines_before_a_request_are_skipped():
    assert not fed(b"\r\n\r\n").is_complete
    assert fed(b"\r\n\r\n" + with_length(b"abc"), [1] * 100).take() == with_length(b"abc")


def test_a_head_that_is_too_long_is_refused():
    assert fed(b"GET /" + b"a" * MAX_HEAD).refused_with == 431
    assert not fed(b"GET /" + b"a" * 1000).refused_with


def test_a_body_that_is_too_long_is_cut_but_stays_too_long():
    request = HEAD + b"Content-Length: %d\r\n\r\n" % (10 * MAX_BODY) + b"a" * (10 * MAX_BODY)
    buffer = fed(request, [65536] * 200)
    assert buffer.is_complete
    assert len(buffer) < MAX_BODY + 1000
    _path, body = read_by_gunicorn(buffer.take())
    assert len(body) == MAX_BODY + 1


def test_a_body_as_long_as_the_app_accepts_is_kept_whole():
    request = with_length(b"a" * MAX_BODY)
    assert fed(request, [65536] * 20).take() == request


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_DISCARDED + 1),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % (MAX_CHUNKED_BODY + 1),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * (MAX_CHUNKED_BODY // 6 + 1),
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"A: b\r\n" * (MAX_CHUNKED_BODY // 6 + 1),
    ],
    ids=["length", "one chunk", "tiny chunks", "trailers"],
)
def test_a_body_that_nobody_needs_is_refused_before_it_has_arrived(request_bytes):
    assert fed(request_bytes).refused_with == 413


def test_a_client_that_expects_100_continue_gets_it_once_and_from_the_buffer():
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    buffer = fed(head)
    assert buffer.wants_continue
    assert not buffer.is_complete
    buffer.wants_continue = False
    buffer.feed(b"abc")
    assert buffer.is_complete
    assert not buffer.wants_continue
    assert buffer.take() == with_length(b"abc")
    assert not fed(head + b"abc").wants_continue
