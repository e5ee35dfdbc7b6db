"""Connections that deliveries keep open for a few seconds: used again, replaced once when stale, and never a test's."""

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
def kept():
    """The connections of a few deliveries."""
    kept = ConnectionPool()
    yield kept
    kept.close()


def answering(*answers):
    """A script that gives one answer after the other over the same connection, and then closes it."""

    def script(receiver, connection):
        for number, answer in enumerate(answers):
            if number:
                request = read_request(connection)
                if request is None:
                    return
                receiver.requests.append(request)
            connection.sendall(answer)

    return script


def deliver(url, kept, policy=POLICY, **fields):
    settings = Settings(url=url, **{"timeout": 2, **fields})
    return sender.send(message_of(settings), settings, policy, pool=kept).outcome


def test_a_second_delivery_goes_over_the_connection_of_the_first(receiver, kept):
    receiver.script = answering(OPEN, OPEN, OPEN)
    outcomes = [deliver(receiver.url, kept) for _ in range(3)]
    assert [outcome.verdict for outcome in outcomes] == ["delivered"] * 3
    assert (receiver.connections, len(receiver.requests)) == (1, 3)
    assert [stage.name for stage in outcomes[1].stages] == ["tcp", "sent", "first byte", "verdict"]


def test_a_chunked_answer_that_was_read_to_its_end_leaves_the_connection_open(receiver, kept):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer: x\r\n\r\n"
    receiver.script = answering(chunked, chunked)
    assert [deliver(receiver.url, kept).reason for _ in range(2)] == ["ok", "ok"]
    assert receiver.connections == 1


def test_a_test_never_uses_a_kept_connection(receiver, kept):
    receiver.script = answering(OPEN, OPEN)
    deliver(receiver.url, kept)
    deliver(receiver.url, None)
    assert receiver.connections == 2


def test_a_response_that_is_closed_twice_gives_its_connection_back_once(receiver, kept):
    receiver.script = answering(OPEN)
    settings = Settings(url=receiver.url)
    message = message_of(settings)
    request = sender.prepare(message, settings, 1, 0)
    request.exchange = Exchange(message.target, POLICY, 2)
    request.pool = kept
    response = sender._session.send(request, stream=True)
    assert response.content == b"ok"
    response.close()
    response.close()
    [entry] = kept._idle
    assert entry.connection.sock.fileno() > 0


def test_channels_that_trust_otherwise_share_no_connection(receiver, kept):
    receiver.script = answering(OPEN, OPEN)
    deliver(receiver.url, kept)
    deliver(receiver.url, kept, verify_tls=False)
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
def test_a_connection_that_may_hold_something_of_an_old_answer_is_not_kept(receiver, kept, answer):
    receiver.script = answering(answer, OPEN)
    assert [deliver(receiver.url, kept).verdict for _ in range(2)] == ["delivered", "delivered"]
    assert receiver.connections == 2


def test_a_connection_that_the_receiver_has_closed_is_not_taken(receiver, kept):
    receiver.script = raw(OPEN)
    assert deliver(receiver.url, kept).verdict == "delivered"
    # `recv` gives nothing once the close has arrived: from here on it shows.
    kept._idle[0].connection.sock.recv_into(bytearray(1))
    assert deliver(receiver.url, kept).verdict == "delivered"
    assert receiver.connections == 2


def unnoticed(monkeypatch):
    """Lets a close go unnoticed until the next request is on its way, as it does when both happen at once."""
    monkeypatch.setattr(connection.Connection, "is_connected", True)


def test_a_connection_that_turns_out_stale_is_replaced_once_inside_the_same_attempt(
    receiver, kept, monkeypatch
):
    unnoticed(monkeypatch)
    receiver.script = raw(OPEN)
    outcomes = [deliver(receiver.url, kept) for _ in range(2)]
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


def test_the_replacement_is_not_replaced_again(receiver, kept, monkeypatch):
    unnoticed(monkeypatch)
    receiver.script = raw(OPEN)
    deliver(receiver.url, kept)
    receiver.script = raw(b"")
    assert deliver(receiver.url, kept).reason == "connection_closed"
    assert receiver.connections == 2


def test_an_answer_that_breaks_off_on_a_kept_connection_is_not_asked_for_again(receiver, kept):
    receiver.script = answering(OPEN, b"HTTP/1.1 2")
    outcomes = [deliver(receiver.url, kept) for _ in range(2)]
    assert [outcome.reason for outcome in outcomes] == ["ok", "protocol_error"]
    assert receiver.connections == 1


def test_a_kept_connection_has_the_deadline_of_the_new_exchange(receiver, kept):
    def script(receiver, connection):
        connection.sendall(OPEN)
        read_request(connection)
        drip(b"HTTP/1.1 200 OK\r\nX: ")(receiver, connection)

    receiver.script = script
    assert deliver(receiver.url, kept).verdict == "delivered"
    outcome = deliver(receiver.url, kept, timeout=0.3)
    assert outcome.reason == "timeout_total"
    assert outcome.milliseconds < 800


def test_what_is_too_old_or_too_much_is_closed(receiver):
    receiver.script = answering(OPEN, OPEN)
    old, few = ConnectionPool(seconds=-1), ConnectionPool(size=1)
    for kept in (old, few):
        deliver(receiver.url, kept)
        deliver(receiver.url.replace("127.0.0.1", "127.1"), kept)
    assert (len(old._idle), len(few._idle)) == (0, 1)
    few.close()
    assert few._idle == []


def test_the_policy_counts_for_every_connection_that_is_made(receiver, kept):
    receiver.script = reply(200)
    assert deliver(receiver.url, kept, Policy()).reason == "blocked_address"
    assert deliver(receiver.url, kept, Policy(ALLOW)).verdict == "delivered"
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert (
            deliver(f"http://127.0.0.1:{other.getsockname()[1]}/", kept, Policy()).reason
            == "blocked_address"
        )


def test_a_connection_to_the_lab_is_no_way_to_what_stands_beside_it(receiver, kept):
    receiver.script = answering(OPEN, OPEN, OPEN)
    allows = Config.from_env({"TOCSIN_ALLOW_NETWORKS": f"127.0.0.1:{receiver.port}"}).allow
    own = LabEndpoint("", frozenset({"127.0.0.1"}), receiver.port, "/lab/in/r", allows)
    policy, place = Policy((), None, own), f"http://127.0.0.1:{receiver.port}"
    assert deliver(f"{place}/admin", kept, policy).verdict == "blocked"
    assert deliver(f"{place}/lab/in/r", kept, policy).verdict == "delivered"
    assert deliver(f"{place}/admin", kept, policy).verdict == "blocked"
    assert [request.path for request in receiver.requests] == ["/lab/in/r"]
