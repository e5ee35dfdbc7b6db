"""Lookups are shared, cached and bounded, and a dead name server delays no other name."""

import ipaddress
import socket
import threading
import time

import pytest
from receiver import raw
from test_sender import POLICY, message_of, resolver

from delivery import sender
from delivery.guard import dns
from delivery.guard.exchange import Policy
from delivery.guard.pool import ConnectionPool
from delivery.settings import Settings

ADDRESS = ipaddress.ip_address("192.0.2.1")


class NameServer:
    """A `getaddrinfo` that responds to a name once `respond` was called for it."""

    def __init__(self):
        self.asked = []
        self.gates = {}
        self.answers = {}

    def __call__(self, host, _port, **_options):
        self.asked.append(host)
        if gate := self.gates.get(host):
            gate.wait(10)
        answer = self.answers.get(host, str(ADDRESS))
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 0))]

    def hang(self, *hosts):
        for host in hosts:
            self.gates[host] = threading.Event()

    def respond(self, host):
        self.gates.pop(host).set()


class Clock:
    """A clock that only a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(monkeypatch):
    server = NameServer()
    monkeypatch.setattr(dns.socket, "getaddrinfo", server)
    yield server
    for host in list(server.gates):
        server.respond(host)
    for thread in threading.enumerate():
        if thread.name == "dns-lookup":
            thread.join(5)


@pytest.fixture
def lookups(clock, monkeypatch):
    """Return a resolver with few threads."""
    monkeypatch.setattr(dns, "MAX_LOOKUPS", 4)
    monkeypatch.setattr(dns, "MAX_LOOKUPS_NEW_OR_SLOW", 3)
    monkeypatch.setattr(dns, "MAX_LOOKUPS_DEAD", 1)
    lookups = dns.Resolver(clock)
    monkeypatch.setattr(dns, "_resolver", lookups)
    return lookups


def hang(lookups, server, *hosts):
    """Start lookups that hang; return them."""
    server.hang(*hosts)
    return [lookups.look_up(host, 0) for host in hosts]


def let_die(lookups, server, clock, *hosts):
    """Let lookups of these names fail later than any exchange waits."""
    hang(lookups, server, *hosts)
    clock.now += dns.MAX_RESOLVE_SECONDS
    for host in hosts:
        server.answers[host] = socket.gaierror(socket.EAI_AGAIN, "no response")
        server.respond(host)
        assert lookups.look_up(host, 5).error == "the name server did not respond"
        del server.answers[host]


# --- sharing and the cache ---


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_lookup_that_runs_is_shared(lookups, server, use_cache):
    [first] = hang(lookups, server, "a.test")
    assert first.ended is None
    assert lookups.look_up("a.test", 0, use_cache) is first
    server.respond("a.test")
    assert lookups.look_up("a.test", 5).addresses == (ADDRESS,)
    assert server.asked == ["a.test"]


def test_many_exchanges_with_one_name_wait_for_one_lookup(lookups, server):
    server.hang("a.test")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(lookups.look_up("a.test", 5)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    server.respond("a.test")
    for thread in threads:
        thread.join(5)
    assert [lookup.addresses for lookup in found] == [(ADDRESS,)] * 20
    assert server.asked == ["a.test"]


@pytest.mark.parametrize(
    ("took", "later", "asked"),
    [
        (0, 4.9, 1),
        (0, 5.1, 2),
        (1, 4.9, 1),
        # Longer than the exchanges waited: kept until they are retried.
        (5, 14.9, 1),
        (5, 15.1, 2),
        (300, 59.9, 1),
        (300, 60.1, 2),
    ],
)
def test_addresses_are_kept_for_a_few_seconds(lookups, server, clock, took, later, asked):
    hang(lookups, server, "a.test")
    clock.now += took
    server.respond("a.test")
    assert lookups.look_up("a.test", 5).addresses
    clock.now += later
    assert lookups.look_up("a.test", 5).addresses
    assert server.asked == ["a.test"] * asked


@pytest.mark.parametrize(
    "failure",
    [
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        socket.gaierror(socket.EAI_AGAIN, "again"),
        OSError(24, "too many open files"),
        UnicodeError("label too long"),
    ],
)
def test_a_failure_is_not_kept(lookups, server, failure):
    server.answers["a.test"] = failure
    assert lookups.look_up("a.test", 5).error
    server.answers.clear()
    assert lookups.look_up("a.test", 5).addresses == (ADDRESS,)


def test_a_failure_replaces_the_addresses_of_before(lookups, server):
    assert lookups.look_up("a.test", 5).addresses
    server.answers["a.test"] = socket.gaierror(socket.EAI_NONAME, "unknown")
    assert not lookups.look_up("a.test", 5, use_cache=False).addresses
    assert not lookups.look_up("a.test", 5).addresses


def test_without_the_cache_a_name_is_looked_up_again(lookups, server):
    for _ in range(3):
        assert lookups.look_up("a.test", 5, use_cache=False).addresses
    assert len(server.asked) == 3


def test_the_oldest_names_are_forgotten(lookups, server, monkeypatch):
    monkeypatch.setattr(dns, "MAX_NAMES", 2)
    for host in ("a.test", "b.test", "c.test", "c.test", "b.test", "a.test"):
        assert lookups.look_up(host, 5).addresses
    assert server.asked == ["a.test", "b.test", "c.test", "a.test"]
    assert len(lookups._ended) == 2


# --- threads ---


def test_names_that_hang_delay_no_other_name(lookups, server):
    hang(lookups, server, "dead-1.test", "dead-2.test")
    for number in range(20):
        assert lookups.look_up(f"{number}.test", 5).addresses


def test_a_name_waits_for_a_thread(lookups, server):
    dead = [f"dead-{number}.test" for number in range(3)]
    hang(lookups, server, *dead)
    assert lookups.look_up("a.test", 0) is None
    found = []
    waiting = threading.Thread(target=lambda: found.append(lookups.look_up("a.test", 5)))
    waiting.start()
    server.respond(dead[0])
    waiting.join(5)
    assert found[0].addresses == (ADDRESS,)


@pytest.mark.parametrize(
    ("running", "dead", "new", "known"),
    [
        (0, True, True, True),
        (1, False, True, True),
        (2, False, True, True),
        (3, False, False, True),
        (4, False, False, False),
    ],
)
def test_the_record_of_a_name_decides_whether_a_lookup_starts(
    lookups, server, clock, running, dead, new, known
):
    let_die(lookups, server, clock, "dead.test")
    hosts = [f"{number}.test" for number in range(running)]
    for host in ("known.test", *hosts):  # all are known, so that they may fill every thread
        assert lookups.look_up(host, 5).addresses
    clock.now += dns.MAX_CACHE_SECONDS
    hang(lookups, server, *hosts)
    server.hang("dead.test", "new.test", "known.test")
    started = {}
    for host in ("dead.test", "new.test", "known.test"):
        started[host] = lookups.look_up(host, 0) is not None
        if started[host]:
            server.respond(host)
            assert lookups.look_up(host, 5).ended
    assert list(started.values()) == [dead, new, known]


def test_dead_names_leave_threads_to_new_names_at_their_second_lookup(lookups, server, clock):
    dead = [f"dead-{number}.test" for number in range(3)]
    let_die(lookups, server, clock, *dead)
    assert [lookup is not None for lookup in hang(lookups, server, *dead)] == [True, False, False]
    assert lookups.look_up("a.test", 5).addresses


def test_a_name_that_is_resolved_late_keeps_the_rights_of_a_new_one(lookups, server, clock):
    hang(lookups, server, "slow.test")
    clock.now += dns.MAX_RESOLVE_SECONDS
    server.respond("slow.test")
    assert lookups.look_up("slow.test", 5).addresses
    hang(lookups, server, "1.test", "2.test", "3.test")
    assert lookups.look_up("slow.test", 0, use_cache=False) is None
    server.respond("3.test")
    assert lookups.look_up("slow.test", 5, use_cache=False).ended


def test_a_dead_name_that_is_resolved_in_time_has_a_good_record(lookups, server, clock):
    let_die(lookups, server, clock, "a.test")
    assert lookups.look_up("a.test", 5, use_cache=False).addresses
    hang(lookups, server, "1.test", "2.test", "3.test")
    assert lookups.look_up("a.test", 5, use_cache=False).ended


def test_a_thread_that_cannot_start_leaves_no_trace(lookups, server, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            lookups.look_up("a.test", 0)
    assert lookups.look_up("a.test", 5).addresses


def test_the_number_of_threads_is_bounded(server):
    lookups = dns.Resolver()
    hosts = [f"dead-{number}.test" for number in range(dns.MAX_LOOKUPS * 2)]
    found = hang(lookups, server, *hosts)
    assert sum(lookup is not None for lookup in found) == dns.MAX_LOOKUPS_NEW_OR_SLOW
    running = [thread for thread in threading.enumerate() if thread.name == "dns-lookup"]
    assert len(running) <= dns.MAX_LOOKUPS


# --- exchanges ---


def send(url, pool=None, policy=POLICY):
    settings = Settings(url=url, timeout=2)
    return sender.send(message_of(settings), settings, policy, pool=pool).outcome


def dns_stage(outcome):
    return next(stage for stage in outcome.stages if stage.name == "dns").detail


def test_a_delivery_uses_the_cache_and_says_so_and_a_test_looks_the_name_up(
    lookups, monkeypatch, receiver
):
    resolver(monkeypatch, "127.0.0.1")
    lookups.clock = time.monotonic
    receiver.script = raw(b"HTTP/1.1 204 Done\r\nConnection: close\r\n\r\n")
    url = f"http://name.test:{receiver.port}/"
    pool = ConnectionPool()
    details = [dns_stage(send(url, one)) for one in (pool, pool, None)]
    assert details == ["127.0.0.1", "127.0.0.1 (cached)", "127.0.0.1"]


def test_a_cached_address_is_checked_at_every_connection(lookups, monkeypatch, receiver):
    resolver(monkeypatch, "127.0.0.1")
    receiver.script = raw(b"HTTP/1.1 204 Done\r\nConnection: close\r\n\r\n")
    url = f"http://name.test:{receiver.port}/"
    pool = ConnectionPool()
    assert send(url, pool).verdict == "delivered"
    assert send(url, pool, Policy()).reason == "blocked_address"
    assert len(receiver.requests) == 1


def test_a_timeout_says_whether_the_name_server_or_a_thread_was_missing(
    lookups, server, monkeypatch
):
    monkeypatch.setattr(dns, "MAX_RESOLVE_SECONDS", 0.01)
    server.hang("a.test", "b.test", "c.test")
    for host in ("a", "b", "c", "a"):
        outcome = send(f"http://{host}.test/")
        assert (outcome.reason, outcome.actor) == ("dns_timeout", "network")
        assert "not resolved in time: the name server did not respond" in outcome.says
    outcome = send("http://d.test/")
    assert outcome.reason == "dns_timeout"
    assert "too many lookups of other names" in outcome.says
    assert "too many lookups of other names" in dns_stage(outcome)
    assert server.asked == ["a.test", "b.test", "c.test"]
