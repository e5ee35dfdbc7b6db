"""The fault catalogue: the sender names every fault of a receiver or of the network, in time."""

import contextlib
import errno
import ipaddress
import os
import re
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import Certificates
from faults import FAULTS, FAULTS_NOW
from receiver import Receiver
from test_sender import ALLOW, message_of, resolver, send

from config import Config
from delivery import sender
from delivery.guard import dns, sockets
from delivery.guard.exchange import Policy
from delivery.outcome import REASONS
from delivery.settings import Settings

ELSEWHERE = {"accepted", "body_says_error", "template_error", "internal_error", "invalid_url"}
# An untrusted certificate is fetched over a second connection; nothing is sent over either.
DISTRUSTED = {
    "tls_expired",
    "tls_not_yet_valid",
    "tls_self_signed",
    "tls_untrusted",
    "tls_hostname",
}
SHORT, LONG, GRACE = 0.3, 3.0, 0.5
MEGABYTES = 20


@pytest.fixture(scope="session")
def certificates():
    return Certificates()


@pytest.fixture(autouse=True)
def nothing_but_the_loopback(monkeypatch):
    """Fail the test at any other connection, and at every lookup that is not mocked."""
    connect = socket.socket.connect

    def guarded(self, address):
        here = ipaddress.ip_address(address[0])
        if not (getattr(here, "ipv4_mapped", None) or here).is_loopback:
            pytest.fail(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(
        dns.socket, "getaddrinfo", lambda *_args, **_kwargs: pytest.fail("a lookup")
    )


@contextlib.contextmanager
def full_socket(port):
    """Listen on 127.0.0.2 with a full queue, so that a connection attempt gets no response."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        yield


def resolver_of(fault, receiver, lookups):
    """Return a `getaddrinfo` with the addresses of the fault; a second lookup gets another one."""

    def getaddrinfo(host, port, **_kwargs):
        lookups.append(host)
        if isinstance(fault.names, Exception):
            raise fault.names
        names = fault.names(receiver) if callable(fault.names) else fault.names
        names = names if len(lookups) == 1 else ("192.0.2.1",)
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port),
            )
            for one in names
        ]

    return getaddrinfo


def open_sockets():
    """Return the open sockets of this process."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry.path))
    return {one for one in found if one.startswith("socket:")}


def memory(field):
    """Return the memory in use (`VmRSS`) or its peak since `reset_peak` (`VmHWM`), in MB."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def reset_peak():
    with contextlib.suppress(
        OSError
    ):  # Where that is not allowed, only a new peak of the whole process is seen.
        Path("/proc/self/clear_refs").write_text("5")


def run(fault, receiver, certificates, monkeypatch):
    """Send once to the receiver of the fault; return the outcome, its seconds and the lookups."""
    lookups = []
    if fault.names is not None:
        monkeypatch.setattr(dns.socket, "getaddrinfo", resolver_of(fault, receiver, lookups))
    url = fault.url.format(port=receiver.port) or receiver.url
    settings = Settings(
        url=url, timeout=SHORT if fault.slow else LONG, ca_pem=certificates.pem if fault.tls else ""
    )
    message = message_of(settings)
    message = replace(message, body=b"x" * fault.body) if fault.body else message
    policy = Policy(Config.from_env({"TOCSIN_ALLOW_NETWORKS": fault.allow}).allow)
    began = time.monotonic()
    outcome = sender.send(message, settings, policy, now=lambda: FAULTS_NOW).outcome
    return outcome, time.monotonic() - began, lookups


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_is_reported_in_time_and_leaks_no_resource(fault, certificates, monkeypatch):
    context = certificates.context(fault.tls) if fault.tls else None
    threads, open_before = set(threading.enumerate()), open_sockets()
    receiver = Receiver(tls=context, skips=fault.skips)
    receiver.script = fault.script
    with full_socket(receiver.port) if fault.full else contextlib.nullcontext():
        reset_peak()
        resident = memory("VmRSS")
        try:
            outcome, seconds, lookups = run(fault, receiver, certificates, monkeypatch)
            peak = memory("VmHWM")
        finally:
            receiver.close()

    verdict, reason, status = (*fault.expected.split(), None)[:3]
    assert (outcome.verdict, outcome.reason) == (verdict, reason), outcome.says
    assert status == "?" or outcome.status == (status and int(status))
    assert fault.says in outcome.says
    assert outcome.retry_after == fault.wait
    assert outcome.stages[-1].name == "verdict"
    assert len(outcome.excerpt) <= 4000

    assert seconds < (SHORT + GRACE if fault.slow else LONG)
    assert peak - resident < MEGABYTES
    left = set(threading.enumerate()) - threads
    for thread in left:
        thread.join(5)  # A finished lookup; nothing waits for the end of its thread.
    assert not any(thread.is_alive() for thread in left)
    assert open_sockets() <= open_before

    assert len(lookups) <= 1
    assert receiver.connections <= (0 if verdict == "blocked" else 2 if reason in DISTRUSTED else 1)
    assert not (reason in DISTRUSTED and receiver.requests)
    if fault.host:
        assert [request.headers["Host"] for request in receiver.requests] == [
            fault.host.format(port=receiver.port)
        ]


def test_the_catalogue_has_150_faults_with_unique_names():
    assert len(FAULTS) >= 150
    names = [fault.name for fault in FAULTS]
    assert sorted(set(names)) == sorted(names)


def test_the_faults_cover_every_external_reason():
    assert {fault.expected.split()[1] for fault in FAULTS} == set(REASONS) - ELSEWHERE


def test_an_address_family_that_this_machine_lacks_is_skipped(receiver, monkeypatch):
    resolver(monkeypatch, "::1", "127.0.0.1")
    made = sockets.DeadlineSocket

    def only_v4(family, kind):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, kind)

    monkeypatch.setattr(sockets, "DeadlineSocket", only_v4)
    policy = Policy((*ALLOW, *Config.from_env({"TOCSIN_ALLOW_NETWORKS": "::1"}).allow))
    assert send(f"http://name.example:{receiver.port}/", policy).verdict == "delivered"
