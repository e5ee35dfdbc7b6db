"""The processes of `tocsin serve`: restarts, and the end of all processes."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
import requests
from conftest import Live


def family(pid):
    """Return the ids of a process and its descendants."""
    pids = [pid]
    for number in pids:
        with contextlib.suppress(OSError):
            pids += map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
    return pids


def command_of(pid):
    """Return the command line of a process, empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def worker_of(pid, other_than=0):
    """Wait for the worker and return its process id."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for number in family(pid):
            if b"\0worker\0" in command_of(number) and number != other_than:
                return number
    raise AssertionError("there is no worker")


def gone(pids, seconds=8.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not [pid for pid in pids if command_of(pid)]:
            return True
    return False


@pytest.fixture
def server(tmp_path):
    server = Live(tmp_path)
    server.ready()
    yield server
    server.stop()


def post(server, headers, name):
    return requests.post(
        f"{server.url}/api/v1/alerts", json={"name": name}, headers=headers, timeout=10
    )


def test_alerts_are_delivered_after_the_worker_or_a_web_process_is_killed(server, receiver):
    server.create_channel(receiver.url)
    headers = server.create_token()
    assert post(server, headers, "first").status_code == 202
    assert receiver.wait_for(1)
    worker = worker_of(server.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert post(server, headers, "second").status_code == 202
    assert receiver.wait_for(2)
    assert worker_of(server.process.pid, other_than=worker)
    web = next(pid for pid in family(server.process.pid)[::-1] if b"worker" not in command_of(pid))
    os.kill(web, signal.SIGKILL)
    assert post(server, headers, "third").status_code == 202
    # A delivery that was under way at a kill may arrive twice, with the same id.
    while len({request.headers["webhook-id"] for request in receiver.requests}) < 3:
        assert receiver.wait_for(len(receiver.requests) + 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_after_a_signal(server, number):
    worker_of(server.process.pid)
    pids = family(server.process.pid)
    assert len(pids) >= 4
    os.kill(server.process.pid, number)
    code = server.process.wait(8)
    assert code == (-9 if number == signal.SIGKILL else 0)
    assert gone(pids)


def test_no_worker_serves_the_pages_only(tmp_path, monkeypatch):
    monkeypatch.setattr(Live, "command", ("serve", "--no-worker"))
    server = Live(tmp_path)
    server.ready()
    assert not [pid for pid in family(server.process.pid) if b"\0worker\0" in command_of(pid)]
    server.stop()
