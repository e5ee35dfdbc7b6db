"""The fault catalogue: whatever a receiver, or the network before it, does, the sender says what it was, in time."""

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
from receiver import FAULTS, FAULTS_NOW, Receiver
from test_sender import ALLOW, message_of, resolver, send

from config import Config
from delivery import sender
from delivery.guard import dns, sockets
from delivery.guard.exchange import Policy
from delivery.outcome import REASONS
from delivery.settings import Settings

ELSEWHERE = {"accepted", "body_says_error", "template_error", "internal_error", "invalid_url"}
# A certificate that is not trusted is looked at again over a second connection; nothing is sent over either.
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
    """Fails the test at a connection to anything else, and at every look-up that no test has answered."""
    connect = socket.socket.connect

    def guarded(self, address):
        here = ipaddress.ip_address(address[0])
        if not (getattr(here, "ipv4_mapped", None) or here).is_loopback:
            pytest.fail(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(
        dns.socket, "getaddrinfo", lambda *_args, **_kwargs: pytest.fail("a look-up")
    )


@contextlib.contextmanager
def full_socket(port):
    """Listens on 127.0.0.2, with a queue that is full: the next one who knocks gets no answer."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        yield


def answers_of(fault, receiver, asked):
    """A `getaddrinfo` that says what the fault says, and to whom asks again, something else."""

    def getaddrinfo(host, port, **_kwargs):
        asked.append(host)
        if isinstance(fault.names, Exception):
            raise fault.names
        names = fault.names(receiver) if callable(fault.names) else fault.names
        names = names if len(asked) == 1 else ("192.0.2.1",)
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
    """The sockets that this process holds."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry.path))
    return {one for one in found if one.startswith("socket:")}


def memory(what):
    """Megabytes of memory in use (`VmRSS`), or the most since `forget_the_peak` (`VmHWM`)."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def forget_the_peak():
    with contextlib.suppress(
        OSError
    ):  # Where that is not allowed, only a new peak of the whole process is seen.
        Path("/proc/self/clear_refs").write_text("5")


def run(fault, receiver, certificates, monkeypatch):
    """Sends once to the receiver of the fault: the outcome, the seconds it took, the names that were looked up."""
    asked = []
    if fault.names is not None:
        monkeypatch.setattr(dns.socket, "getaddrinfo", answers_of(fault, receiver, asked))
    url = fault.url.format(port=receiver.port) or receiver.url
    settings = Settings(
        url=url, timeout=SHORT if fault.slow else LONG, ca_pem=certificates.pem if fault.tls else ""
    )
    message = message_of(settings)
    message = replace(message, body=b"x" * fault.body) if fault.body else message
    policy = Policy(Config.from_env({"TOCSIN_ALLOW_NETWORKS": fault.allow}).allow)
    began = time.monotonic()
    outcome = sender.send(message, settings, policy, now=lambda: FAULTS_NOW).outcome
    return outcome, time.monotonic() - began, asked


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_is_told_in_time_and_leaves_nothing_behind(fault, certificates, monkeypatch):
    context = certificates.context(fault.tls) if fault.tls else None
    threads, open_before = set(threading.enumerate()), open_sockets()
    receiver = Receiver(tls=context, skips=fault.skips)
    receiver.script = fault.script
    with full_socket(receiver.port) if fault.full else contextlib.nullcontext():
        forget_the_peak()
        resident = memory("VmRSS")
        try:
            outcome, seconds, asked = run(fault, receiver, certificates, monkeypatch)
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
        thread.join(5)  # A look-up whose answer came; nothing waits for the end of its thread.
    assert not any(thread.is_alive() for thread in left)
    assert open_sockets() <= open_before

    assert len(asked) <= 1
    assert receiver.connections <= (0 if verdict == "blocked" else 2 if reason in DISTRUSTED else 1)
    assert not (reason in DISTRUSTED and receiver.requests)
    if fault.host:
        assert [request.headers["Host"] for request in receiver.requests] == [
            fault.host.format(port=receiver.port)
        ]


def test_the_catalogue_is_large_and_its_names_are_unique():
    assert len(FAULTS) >= 150
    names = [fault.name for fault in FAULTS]
    assert sorted(set(names)) == sorted(names)


def test_every_reason_that_comes_from_outside_is_reached():
    assert {fault.expected.split()[1] for fault in FAULTS} == set(REASONS) - ELSEWHERE


def test_a_family_of_addresses_that_this_machine_does_not_have_is_passed_over(
    receiver, monkeypatch
):
    resolver(monkeypatch, "::1", "127.0.0.1")
    made = sockets.DeadlineSocket

    def only_v4(family, kind):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, kind)

    monkeypatch.setattr(sockets, "DeadlineSocket", only_v4)
    policy = Policy((*ALLOW, *Config.from_env({"TOCSIN_ALLOW_NETWORKS": "::1"}).allow))
    assert send(f"http://name.example:{receiver.port}/", policy).verdict == "delivered"
