"""Connections that the lab leaves without a response hold no thread, and end in time."""

import contextlib
import selectors
import socket
import struct
import time
from dataclasses import dataclass

import pytest
import requests
from conftest import Live
from markup import token_in

from serving.held_connections import MAX_HELD, Ending, HeldConnections


@dataclass(eq=False)
class ServerSide:
    """A connection as gunicorn has it."""

    sock: socket.socket


@pytest.fixture
def poller():
    with selectors.DefaultSelector() as poller:
        yield poller


@pytest.fixture
def pair():
    """Return a function that opens a connection: the server's side, and the client's socket."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def pair():
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            client.settimeout(5)
            server = stack.enter_context(listener.accept()[0])
            return ServerSide(server), client

        yield pair


class Connections(HeldConnections):
    """Held connections with a clock of their own, whose ends are noted."""

    def __init__(self, poller):
        self.ended = []
        self.now = 0.0
        super().__init__(poller, self.close, self.linger, lambda: self.now)

    def close(self, connection):
        self.ended.append("closed")
        connection.sock.close()

    def linger(self, connection):
        self.ended.append("lingers")
        connection.sock.close()


@pytest.fixture
def held(poller):
    return Connections(poller)


def dispatch(poller):
    for key, _ in poller.select(1):
        key.data(key.fileobj)


def test_a_slow_response_is_sent_when_its_time_has_come(held, pair, poller):
    connection, client = pair()
    held.hold(connection, Ending(5.0, b"HTTP/1.1 200 OK\r\n\r\n"))
    held.now = 4.9
    held.end_due(is_stopping=False)
    assert held.ended == []
    held.now = 5.0
    held.end_due(is_stopping=False)
    assert (client.recv(100), held.ended) == (b"HTTP/1.1 200 OK\r\n\r\n", ["lingers"])
    assert not poller.get_map()


def test_a_connection_without_a_response_ends_when_its_time_has_come(held, pair):
    connection, client = pair()
    held.hold(connection, Ending(35.0))
    held.now = 35.0
    held.end_due(is_stopping=False)
    assert client.recv(100) == b""


def test_a_reset_is_a_reset(held, pair):
    connection, client = pair()
    held.hold(connection, Ending(is_reset=True))
    assert held.ended == ["closed"]
    with pytest.raises(ConnectionResetError):
        client.recv(100)


@pytest.mark.parametrize("leaves_by", ["close", "reset"])
def test_a_client_that_leaves_is_forgotten(held, pair, poller, leaves_by):
    connection, client = pair()
    held.hold(connection, Ending(35.0))
    client.sendall(b"more")
    dispatch(poller)
    assert held.ended == []
    if leaves_by == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    dispatch(poller)
    assert (held.ended, len(poller.get_map())) == (["closed"], 0)


def test_a_stopping_process_ends_all_at_once(held, pair):
    for _ in range(3):
        held.hold(pair()[0], Ending(35.0))
    held.end_due(is_stopping=True)
    assert held.ended == ["lingers"] * 3


def test_of_too_many_connections_the_oldest_are_ended(held, pair):
    clients = []
    for _ in range(MAX_HELD + 2):
        connection, client = pair()
        held.hold(connection, Ending(35.0))
        clients.append(client)
    assert held.ended == ["lingers"] * 2
    assert clients[1].recv(100) == b""
    clients[2].setblocking(False)
    with pytest.raises(BlockingIOError):
        clients[2].recv(100)


# --- a real server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Live(tmp_path_factory.mktemp("held"), TOCSIN_WORKERS="1", TOCSIN_THREADS="2")
    server.ready()
    yield server
    server.stop()


def lab_address(server, *answers):
    """Set the responses of the lab's receiver, and return the path of its address."""
    page = server.person.get(f"{server.url}/lab/1", timeout=5).text
    form = {"csrf_token": token_in(page), "answer": "sequence", "after": "repeat"}
    form["sequence"] = ", ".join(answers)
    response = server.person.post(f"{server.url}/lab/1/response", form, timeout=5)
    assert response.status_code == 200
    return page.split('id="address"')[1].split('value="')[1].split('"')[0]


def test_pages_are_served_at_once_while_many_connections_are_held(server):
    url = lab_address(server, "never")
    path = url.removeprefix(server.url)
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            clients.append(stack.enter_context(client))
            client.sendall(request)
        began = time.monotonic()
        for _ in range(5):
            assert server.person.get(f"{server.url}/lab/1", timeout=5).status_code == 200
        assert time.monotonic() - began < 5
        for client in clients:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)


def test_a_slow_response_and_a_reset_arrive_as_such(server):
    url = lab_address(server, "slow", "reset", "200")
    began = time.monotonic()
    response = requests.post(url, data=b"{}", timeout=10)
    assert (response.status_code, response.text) == (200, "The lab has received the request.\n")
    assert 5 <= time.monotonic() - began < 9
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        requests.post(url, data=b"{}", timeout=10)
    assert requests.post(url, data=b"{}", timeout=10).status_code == 200


def test_held_connections_do_not_delay_the_end_of_the_server(tmp_path):
    server = Live(tmp_path, TOCSIN_WORKERS="1")
    server.ready()
    url = lab_address(server, "never")
    path = url.removeprefix(server.url)
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(request)
        server.person.get(f"{server.url}/lab/1", timeout=5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 7
        assert client.recv(1) == b""
