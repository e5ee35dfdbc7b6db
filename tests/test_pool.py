"""The connection pool of deliveries: reuse, expiry, and replacement of closed connections."""

import socket

import pytest
from receiver import drip, raw, read_request, reply
from test_sender import ALLOW, POLICY, message_of

from config import Config
from delivery import sender
from delivery.guard import connection
from delivery.guard.addresses import LabEndpoint
from delivery.guard.exchange import Exchange, Policy
from delivery.guard.pool import ConnectionPool
from delivery.settings import Settings

OPEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def pool():
    """A pool for the deliveries of a test."""
    pool = ConnectionPool()
    yield pool
    pool.close()


def responding(*responses):
    """Return a script that sends one response for each request, and then closes the connection."""

    def script(receiver, connection):
        for number, response in enumerate(responses):
            if number:
                request = read_request(connection)
                if request is None:
                    return
                receiver.requests.append(request)
            connection.sendall(response)

    return script


def deliver(url, pool, policy=POLICY, **fields):
    settings = Settings(url=url, **{"timeout": 2, **fields})
    return sender.send(message_of(settings), settings, policy, pool=pool).outcome


def test_a_second_delivery_reuses_the_connection_of_the_first(receiver, pool):
    receiver.script = responding(OPEN, OPEN, OPEN)
    outcomes = [deliver(receiver.url, pool) for _ in range(3)]
    assert [outcome.verdict for outcome in outcomes] == ["delivered"] * 3
    assert (receiver.connections, len(receiver.requests)) == (1, 3)
    assert [stage.name for stage in outcomes[1].stages] == ["tcp", "sent", "first byte", "verdict"]


def test_a_complete_chunked_response_leaves_the_connection_open(receiver, pool):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b"2;x=y\r\nok\r\n0\r\nTrailer: x\r\n\r\n"
    receiver.script = responding(chunked, chunked)
    assert [deliver(receiver.url, pool).reason for _ in range(2)] == ["ok", "ok"]
    assert receiver.connections == 1


def test_a_send_without_a_pool_opens_a_new_connection(receiver, pool):
    receiver.script = responding(OPEN, OPEN)
    deliver(receiver.url, pool)
    deliver(receiver.url, None)
    assert receiver.connections == 2


def test_a_response_that_is_closed_twice_gives_its_connection_back_once(receiver, pool):
    receiver.script = responding(OPEN)
    settings = Settings(url=receiver.url)
    message = message_of(settings)
    request = sender.prepare(message, settings, 1, 0)
    request.exchange = Exchange(message.target, POLICY, settings)
    request.pool = pool
    response = sender._session.send(request, stream=True)
    assert response.content == b"ok"
    response.close()
    response.close()
    [entry] = pool._idle
    assert entry.connection.sock.fileno() > 0


def test_channels_with_different_trust_share_no_connection(receiver, pool):
    receiver.script = responding(OPEN, OPEN)
    deliver(receiver.url, pool)
    deliver(receiver.url, pool, verify_tls=False)
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
    ],
    ids=["close", "HTTP/1.0", "not read to its end", "not decodable"],
)
def test_a_connection_with_unread_data_is_not_reused(receiver, pool, answer):
    receiver.script = responding(answer, OPEN)
    assert [deliver(receiver.url, pool).verdict for _ in range(2)] == ["delivered", "delivered"]
    assert receiver.connections == 2


def test_a_connection_that_the_receiver_has_closed_is_not_reused(receiver, pool):
    receiver.script = raw(OPEN)
    assert deliver(receiver.url, pool).verdict == "delivered"
    # `recv` returns nothing once the close has arrived.
    pool._idle[0].connection.sock.recv_into(bytearray(1))
    assert deliver(receiver.url, pool).verdict == "delivered"
    assert receiver.connections == 2


def hide_closed_connections(monkeypatch):
    """Hide a close until the next request is sent, as if both happened at once."""
    monkeypatch.setattr(connection.Connection, "is_connected", True)


def test_a_closed_connection_is_replaced_once_within_the_attempt(receiver, pool, monkeypatch):
    hide_closed_connections(monkeypatch)
    receiver.script = raw(OPEN)
    outcomes = [deliver(receiver.url, pool) for _ in range(2)]
    assert [outcome.verdict for outcome in outcomes] == ["delivered", "delivered"]
    assert receiver.connections == 2
    names = [stage.name for stage in outcomes[1].stages]
    assert names == [
        "tcp",
        "sent",
        "first byte",
        "policy",
        "dns",
        "tcp",
        "sent",
        "first byte",
        "verdict",
    ]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_the_replacement_is_not_replaced_again(receiver, pool, monkeypatch):
    hide_closed_connections(monkeypatch)
    receiver.script = raw(OPEN)
    deliver(receiver.url, pool)
    receiver.script = raw(b"")
    assert deliver(receiver.url, pool).reason == "connection_closed"
    assert receiver.connections == 2


def test_a_response_that_breaks_off_on_a_reused_connection_is_not_requested_again(receiver, pool):
    receiver.script = responding(OPEN, b"HTTP/1.1 2")
    outcomes = [deliver(receiver.url, pool) for _ in range(2)]
    assert [outcome.reason for outcome in outcomes] == ["ok", "protocol_error"]
    assert receiver.connections == 1


def test_a_reused_connection_has_the_deadline_of_the_new_exchange(receiver, pool):
    def script(receiver, connection):
        connection.sendall(OPEN)
        read_request(connection)
        drip(b"HTTP/1.1 200 OK\r\nX: ")(receiver, connection)

    receiver.script = script
    assert deliver(receiver.url, pool).verdict == "delivered"
    outcome = deliver(receiver.url, pool, timeout=0.3)
    assert outcome.reason == "timeout_total"
    assert outcome.milliseconds < 800


@pytest.mark.parametrize(
    ("name", "limit", "kept"), [("MAX_IDLE_SECONDS", -1, 0), ("MAX_IDLE_CONNECTIONS", 1, 1)]
)
def test_expired_and_excess_connections_are_closed(receiver, pool, monkeypatch, name, limit, kept):
    monkeypatch.setattr(f"delivery.guard.pool.{name}", limit)
    receiver.script = responding(OPEN, OPEN)
    deliver(receiver.url, pool)
    deliver(receiver.url.replace("127.0.0.1", "127.1"), pool)
    assert len(pool._idle) == kept
    pool.close()
    assert pool._idle == []


def test_the_policy_applies_to_every_new_connection(receiver, pool):
    receiver.script = reply(200)
    assert deliver(receiver.url, pool, Policy()).reason == "blocked_address"
    assert deliver(receiver.url, pool, Policy(ALLOW)).verdict == "delivered"
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert (
            deliver(f"http://127.0.0.1:{other.getsockname()[1]}/", pool, Policy()).reason
            == "blocked_address"
        )


def test_a_connection_to_the_lab_serves_no_other_path(receiver, pool):
    receiver.script = responding(OPEN, OPEN, OPEN)
    allows = Config.from_env({"TOCSIN_ALLOW_NETWORKS": f"127.0.0.1:{receiver.port}"}).allow
    lab = LabEndpoint("", frozenset({"127.0.0.1"}), receiver.port, {"/lab/in/r"}, allows)
    policy = Policy((), None, lab)
    origin = f"http://127.0.0.1:{receiver.port}"
    assert deliver(f"{origin}/admin", pool, policy).verdict == "blocked"
    assert deliver(f"{origin}/lab/in/r", pool, policy).verdict == "delivered"
    assert deliver(f"{origin}/admin", pool, policy).verdict == "blocked"
    assert [request.path for request in receiver.requests] == ["/lab/in/r"]
