"""The sender against a real receiver: requests, refusals, DNS, timeouts and responses."""

import socket
import threading

import pytest
from receiver import drip, raw, reply, silence

from config import Config
from delivery import sender
from delivery.alerts.samples import sample_alert
from delivery.event import Event
from delivery.guard import dns, sockets
from delivery.guard.connection import serialize
from delivery.guard.exchange import Exchange, ExchangeError, Policy
from delivery.message import build
from delivery.outcome import Reason
from delivery.settings import Header, Settings

ALLOW = Config.from_env({"TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"}).allow
POLICY = Policy(ALLOW)
NOW = 1_790_000_000_000


def message_of(settings):
    return build(settings, Event(sample_alert(NOW, "http://tocsin.test/"), NOW * 1_000_000, NOW))


def send(url, policy=POLICY, **fields):
    settings = Settings(url=url, **{"timeout": 0.4, **fields})
    return sender.send(message_of(settings), settings, policy).outcome


def test_a_request_carries_the_headers_of_tocsin_then_the_channels(receiver):
    rows = (Header("X-Team", "db"), Header("X-Key", "s3cret-key", secret=True))
    send(
        receiver.url,
        headers=rows,
        auth="bearer",
        auth_secret="t0p",
        signing="github",
        signing_secret="k",
    )
    [request] = receiver.requests
    assert request.method == "POST"
    assert list(request.headers)[:2] == ["Host", "User-Agent"]
    assert request.headers["User-Agent"].startswith("Tocsin/")
    assert request.headers["webhook-id"] == f"msg_{NOW * 1_000_000}"
    assert request.headers["webhook-timestamp"].isdigit()
    assert request.headers["X-Delivery-Attempt"] == "1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer t0p"
    assert (request.headers["X-Team"], request.headers["X-Key"]) == ("db", "s3cret-key")
    assert request.headers["X-Hub-Signature-256"].startswith("sha256=")


def test_neither_proxies_nor_netrc_of_the_environment_are_used(receiver, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name, value in [
        ("http_proxy", "http://127.0.0.1:9"),
        ("NETRC", str(tmp_path / ".netrc")),
        ("HOME", str(tmp_path)),
    ]:
        monkeypatch.setenv(name, value)
    assert send(receiver.url).verdict == "delivered"
    assert "Authorization" not in receiver.requests[0].headers


def test_the_preview_shows_the_bytes_that_are_sent():
    received = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)

    def listen():
        connection, _ = server.accept()
        with connection:
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65536)
            received.append(data)
            connection.sendall(b"HTTP/1.1 204 Done\r\n\r\n")

    thread = threading.Thread(target=listen)
    thread.start()
    settings = Settings(
        url=f"http://127.0.0.1:{server.getsockname()[1]}/h?x=1",
        payload='{"a": 1.10}',
        headers=(Header("X-A", "ä"),),
    )
    message = message_of(settings)
    outcome = sender.send(message, settings, POLICY, now=lambda: 1_790_000_000.0).outcome
    thread.join()
    server.close()
    assert outcome.verdict == "delivered"
    assert received == [serialize(sender.prepare(message, settings, 1, 1_790_000_000.0))]


def test_a_refused_address_is_blocked_before_anything_is_sent(receiver):
    outcome = send(receiver.url, Policy())
    assert (outcome.verdict, outcome.reason, outcome.actor) == (
        "blocked",
        "blocked_address",
        "policy",
    )
    assert "TOCSIN_ALLOW_NETWORKS" in outcome.says
    assert receiver.connections == 0


def resolver(monkeypatch, *addresses):
    answers = [
        (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0))
        for one in addresses
    ]
    monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *_args, **_kwargs: answers)


def test_a_name_that_resolves_to_a_refused_address_is_blocked(receiver, monkeypatch):
    resolver(monkeypatch, "127.0.0.1")
    outcome = send(f"http://rebound.example:{receiver.port}/", Policy())
    assert outcome.reason == "blocked_address"
    assert "rebound.example resolves to 127.0.0.1" in outcome.says
    assert receiver.connections == 0


def test_only_permitted_addresses_are_connected_to(receiver, monkeypatch):
    resolver(monkeypatch, "::1", "169.254.169.254", "127.0.0.1")
    outcome = send(f"http://mixed.example:{receiver.port}/")
    assert outcome.verdict == "delivered"
    assert receiver.requests[0].headers["Host"] == f"mixed.example:{receiver.port}"


def test_a_second_address_is_tried_if_the_first_refuses_the_connection(receiver, monkeypatch):
    resolver(monkeypatch, "127.0.0.2", "127.0.0.1")
    assert send(f"http://two.example:{receiver.port}/").verdict == "delivered"


def test_an_allowed_name_may_resolve_to_a_private_address(receiver, monkeypatch):
    resolver(monkeypatch, "127.0.0.1")
    policy = Policy(
        Config.from_env({"TOCSIN_ALLOW_NETWORKS": f"inside.example:{receiver.port}"}).allow
    )
    assert send(f"http://inside.example:{receiver.port}/", policy).verdict == "delivered"
    assert send(f"http://other.example:{receiver.port}/", policy).verdict == "blocked"


def test_an_unknown_name_is_a_network_failure(monkeypatch):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(sockets.socket, "getaddrinfo", unknown)
    outcome = send("http://nowhere.example/")
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("retry", "dns_failure", "network")


def test_a_hanging_resolver_delays_no_send(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(
        sockets.socket, "getaddrinfo", lambda *_args, **_kwargs: release.wait() and []
    )
    monkeypatch.setattr(dns, "MAX_RESOLVE_SECONDS", 0.1)
    try:
        assert [send(f"http://n{number}.example/").reason for number in range(10)] == [
            "dns_timeout"
        ] * 10
        stuck = [thread for thread in threading.enumerate() if thread.name == "dns-lookup"]
        assert len(stuck) <= dns.MAX_LOOKUPS
    finally:
        release.set()
        for thread in [thread for thread in threading.enumerate() if thread.name == "dns-lookup"]:
            thread.join()


def test_a_closed_port_refuses_the_connection():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    outcome = send(f"http://127.0.0.1:{port}/")
    assert (outcome.verdict, outcome.reason, outcome.actor) == (
        "retry",
        "connect_refused",
        "network",
    )


def test_a_receiver_without_tls_has_its_own_reason(receiver):
    receiver.script = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)

    def speak_plainly():
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=speak_plainly)
    thread.start()
    outcome = send(f"https://127.0.0.1:{server.getsockname()[1]}/")
    thread.join()
    server.close()
    assert outcome.reason == "tls_not_tls"


def test_a_deadline_that_ends_with_the_connecting_leaves_no_socket_open(receiver, monkeypatch):
    opened = []
    open_socket = sockets.open_socket

    def open_late(*arguments):
        opened.append(open_socket(*arguments))
        monkeypatch.setattr(Exchange, "seconds_left", fail_late)
        return opened[0]

    def fail_late(_exchange):
        raise ExchangeError(Reason.TIMEOUT_TOTAL)

    monkeypatch.setattr(sockets, "open_socket", open_late)
    assert send(receiver.url).reason == Reason.TIMEOUT_TOTAL
    assert opened[0].fileno() == -1


def test_a_send_leaves_no_thread(receiver):
    before = threading.active_count() - len(receiver._threads)
    for script in (silence, drip(), reply(200)):
        receiver.script = script
        send(receiver.url)
    receiver.close()
    assert threading.active_count() <= before


def test_the_stages_are_timed_in_order(receiver):
    outcome = send(receiver.url)
    assert [stage.name for stage in outcome.stages] == [
        "policy",
        "dns",
        "tcp",
        "sent",
        "first byte",
        "verdict",
    ]
    assert all(stage.milliseconds >= 0 for stage in outcome.stages)
    assert outcome.milliseconds == pytest.approx(
        sum(stage.milliseconds for stage in outcome.stages), abs=2
    )


def test_a_folded_header_is_shown_on_one_line(receiver):
    receiver.script = raw(
        b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n  two\r\n\tthree\r\nContent-Length: 0\r\n\r\n"
    )
    assert ("X-Folded", "one two three") in send(receiver.url).headers


def test_the_body_before_a_broken_chunk_is_shown(receiver):
    receiver.script = raw(
        b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nthe beginning"
    )
    outcome = send(receiver.url)
    assert (outcome.reason, outcome.excerpt) == ("connection_closed", "the beginning")


def test_the_shared_session_keeps_no_cookie_of_a_receiver(receiver):
    receiver.script = reply(200, b"ok", Set_Cookie="id=1; Path=/")
    settings = Settings(url=receiver.url)
    for _ in range(2):
        sender.send(message_of(settings), settings, POLICY)
    assert not sender._session.cookies
    assert "Cookie" not in receiver.requests[-1].headers
