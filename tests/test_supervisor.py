"""The processes of `tocsin serve`: what dies is started again, what is ended is gone, nobody is left alone."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
import requests
from channels import form_of
from conftest import Live
from markup import token_in


def family(pid):
    """The process and all that descend from it, by what they are."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def words_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def worker_of(pid, other_than=0):
    """The worker's pid, waited for."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for one in family(pid):
            if b"\0worker\0" in words_of(one) and one != other_than:
                return one
    raise AssertionError("there is no worker")


def gone(pids, seconds=8.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not [pid for pid in pids if words_of(pid)]:
            return True
    return False


@pytest.fixture
def server(tmp_path):
    server = Live(tmp_path)
    server.ready()
    yield server
    server.stop()


def channel_to(server, receiver):
    form = {
        **form_of(receiver.url),
        "csrf_token": token_in(server.person.get(f"{server.url}/account").text),
    }
    assert (
        server.person.post(f"{server.url}/channels", form, allow_redirects=False).status_code == 303
    )


def token_of(server):
    form = {
        "csrf_token": token_in(server.person.get(f"{server.url}/tokens").text),
        "name": "t",
        "scope": "ingest",
    }
    page = server.person.post(f"{server.url}/tokens", form).text
    return page.split('value="tocsin_')[1].split('"')[0]


def post(server, token, name):
    headers = {"Authorization": f"Bearer tocsin_{token}"}
    return requests.post(
        f"{server.url}/api/v1/alerts", json={"name": name}, headers=headers, timeout=10
    )


def test_an_alert_is_delivered_and_again_after_the_worker_and_a_web_worker_were_killed(
    server, receiver
):
    channel_to(server, receiver)
    token = token_of(server)
    assert post(server, token, "first").status_code == 202
    assert receiver.wait_for(1)
    worker = worker_of(server.process.pid)
    os.kill(worker, signal.SIGKILL)
    assert post(server, token, "second").status_code == 202
    assert receiver.wait_for(2)
    assert worker_of(server.process.pid, other_than=worker)
    web = next(one for one in family(server.process.pid)[::-1] if b"worker" not in words_of(one))
    os.kill(web, signal.SIGKILL)
    assert post(server, token, "third").status_code == 202
    # What was under way when something was killed may come twice, under the same id.
    while len({request.headers["webhook-id"] for request in receiver.requests}) < 3:
        assert receiver.wait_for(len(receiver.requests) + 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_when_it_is_ended_or_killed_nothing_of_it_is_left(server, number):
    worker_of(server.process.pid)
    pids = family(server.process.pid)
    assert len(pids) >= 4
    os.kill(server.process.pid, number)
    code = server.process.wait(8)
    assert code == (-9 if number == signal.SIGKILL else 0)
    assert gone(pids)


def test_without_a_worker_only_the_pages_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr(Live, "command", ("serve", "--no-worker"))
    server = Live(tmp_path)
    server.ready()
    assert not [one for one in family(server.process.pid) if b"\0worker\0" in words_of(one)]
    server.stop()
