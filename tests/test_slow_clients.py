"""Clients that send or read slowly hold no thread of the server."""

import contextlib
import socket
import sys
from pathlib import Path

import pytest
import requests
from conftest import Live

from serving import gunicorn_worker

HEAD = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
PARTIAL = {
    "nothing": b"",
    "half a line": b"POST /lo",
    "half a head": HEAD,
    "no body": HEAD + b"Content-Length: 100\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 100\r\n\r\na=b",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\na=b",
    "empty lines": b"\r\n\r\n",
    "a huge body": HEAD + b"Content-Length: 50000000\r\n\r\na=b",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Live(tmp_path_factory.mktemp("slow"), TOCSIN_WORKERS="1", TOCSIN_THREADS="2")
    server.ready()
    yield server
    server.stop()


@pytest.fixture
def connect(server):
    """Return a function that opens a connection and sends some bytes."""
    with contextlib.ExitStack() as stack:

        def connect(*parts):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=15)
            stack.enter_context(connection)
            for part in parts:
                connection.sendall(part)
            return connection

        yield connect


def response_of(connection):
    """Return everything that the server sends until it closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("part", PARTIAL.values(), ids=PARTIAL)
def test_unfinished_requests_do_not_delay_others(server, connect, part):
    for _ in range(20):
        connect(part)
    for _ in range(5):
        assert requests.get(f"{server.url}/healthz", timeout=3).status_code == 200


def test_clients_that_never_close_their_connection_do_not_delay_others(server, connect):
    for _ in range(20):
        connect(b"GET /healthz HTTP/1.0\r\n\r\n")
        connect(b"GET /\x00 nonsense\r\n\r\n")
    for _ in range(5):
        assert requests.get(f"{server.url}/healthz", timeout=1).status_code == 200


def test_clients_that_never_read_do_not_delay_others(server):
    with contextlib.ExitStack() as stack:
        for _ in range(3):  # one more than the server has threads
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /static/site.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000)
        # Requests are answered in turn: the responses above fill every buffer.
        for _ in range(300):
            assert requests.get(f"{server.url}/healthz", timeout=3).status_code == 200


class Impatient(Live):
    program = (sys.executable, "-m", "gunicorn")
    command = ("--worker-class", "impatient_worker.ImpatientWorker", "wsgi:app")


def test_an_unfinished_request_is_refused_after_some_time(tmp_path):
    server = Impatient(tmp_path, PYTHONPATH=str(Path(__file__).parent), TOCSIN_SENDERS="0")
    try:
        server.ready()
        for part in (HEAD, PARTIAL["half a body"], PARTIAL["half a chunk"]):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(part)
                assert response_of(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            assert response_of(connection) == b""
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("seconds", "received", "is_late"),
    [
        (9, 0, False),
        (11, 0, True),
        (11, 100, True),
        (11, 2 * gunicorn_worker.MIN_RATE, False),
        (60, 1024 * 1024, False),
        (80, 1024 * 1024, True),
    ],
)
def test_a_longer_request_has_more_time(seconds, received, is_late):
    arrival = gunicorn_worker.Arrival(None)
    arrival.buffer.received = received
    assert arrival.is_late(arrival.started_at + seconds, gunicorn_worker.MAX_SECONDS) == is_late


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"],
        [b"GET /healthz HT", b"TP/1.1\r\nHost: 127.0.0.1\r", b"\nConnection: close\r\n\r\n"],
        [b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"],
    ],
)
def test_a_request_that_comes_in_pieces_is_answered(connect, parts):
    response = response_of(connect(*parts))
    assert response.split(b"\r\n")[0] in (b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK")


def test_requests_that_are_sent_at_once_are_answered_in_turn(connect):
    get = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
    first = get % (b"/-/healthy", b"")
    last = get % (b"/healthz", b"Connection: close\r\n")
    response = response_of(connect(first + first + last[:20], last[20:]))
    assert response.count(b"HTTP/1.1 200 OK") == 3
    assert response.count(b"Tocsin is Healthy.") == 2


def test_a_client_that_reads_late_gets_every_response(connect):
    get = b"GET /static/site.css HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
    connection = connect(get % b"" * 500 + get % b"Connection: close\r\n")
    assert response_of(connection).count(b"HTTP/1.1 200 OK") == 501


def test_a_client_can_read_its_refusal_while_it_sends(connect):
    connection = connect(HEAD + b"Content-Length: 100000000\r\n\r\n" + b"a" * 300_000)
    assert response_of(connection).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_arrives_whole(server, connect):
    token = server.create_token()["Authorization"].encode()
    head = (
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    body = [b'5\r\n{"nam\r\n', b'9\r\ne": "disk\r\n', b'2\r\n"}\r\n0\r\n', b"\r\n"]
    response = response_of(connect(head % token, *body))
    assert response.startswith(b"HTTP/1.1 202 ")


def test_a_large_message_of_alerts_is_stored_whole(server):
    alerts = [{"name": f"alert {number}", "labels": {"text": "x" * 3000}} for number in range(2000)]
    headers = server.create_token(name="large")
    response = requests.post(
        f"{server.url}/api/v1/alerts", json=alerts, headers=headers, timeout=10
    )
    assert response.status_code == 202
    assert len(response.json()["alerts"]) == 2000


def test_a_client_that_waits_for_100_continue_gets_it(connect):
    head = b"Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    connection = connect(HEAD + head)
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"a=b")
    response = response_of(connection)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"100 Continue" not in response


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"Content-Length: 100000000\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET /" + b"a" * 70_000, 431),
        (b"GET /\x00 nonsense\r\n\r\n", 400),
    ],
)
def test_a_request_that_cannot_be_accepted_is_refused_at_once(connect, request_bytes, status):
    response = response_of(connect(request_bytes))
    assert response.startswith(b"HTTP/1.1 %d " % status)


def test_of_too_many_unfinished_requests_the_oldest_are_refused(server, connect):
    connections = [connect(HEAD) for _ in range(gunicorn_worker.MAX_RECEIVING + 20)]
    assert response_of(connections[0]).startswith(b"HTTP/1.1 503 ")
    assert requests.get(f"{server.url}/healthz", timeout=3).status_code == 200


def test_a_client_that_stays_away_leaves_no_trace_in_the_log(server, connect):
    connect(HEAD).close()
    connect(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").close()
    assert requests.get(f"{server.url}/healthz", timeout=3).status_code == 200
    assert "Traceback" not in server.output()
    assert "Error" not in server.output()
