"""Alerts survive a time in which a running Tocsin cannot receive them."""

import contextlib
import json
import threading
import time
from datetime import UTC, datetime

import pytest
import requests
from channels import form_of
from conftest import Live
from markup import token_in
from receiver import drip

NAMES = ("disk", "memory", "network")
STOPPED_MS = 60_000
_FILL = """
    WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
    INSERT INTO delivery (id, channel_id, alert_id, event, repeated, state, due_at, expires_at,
        attempts, claims, cause, created_at, config_hash, retries, not_found)
    SELECT i, 1, 1, 'open', 0, 'pending', :due_at, :due_at * 2, 0, 0, '', 1, '', 0, 0 FROM n"""


class WebOnly(Live):
    command = ("serve", "--no-worker")


class WorkerOnly(Live):
    command = ("worker",)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a server of a class on the same data folder."""
    servers = []

    def start(live=Live, **environment):
        folder = tmp_path / live.__name__
        folder.mkdir(exist_ok=True)
        server = live(folder, TOCSIN_DATA_DIR=str(tmp_path / "data"), **environment)
        servers.append(server)
        if live is not WorkerOnly:
            server.ready()
        return server

    yield start
    for server in servers:
        server.stop()


def listening_until(server):
    rows = server.query("SELECT CAST(value AS BIGINT) FROM fact WHERE name = 'listening until'")
    return rows[0][0] if rows else 0


def set_times_back(server):
    """Make the database look as it would if the server had been stopped for a minute."""
    server.query(
        "UPDATE alert SET closes_at = closes_at - :ms, seen_at = seen_at - :ms", ms=STOPPED_MS
    )
    server.query(
        "UPDATE fact SET value = CAST(CAST(value AS BIGINT) - :ms AS TEXT)"
        " WHERE name = 'listening until'",
        ms=STOPPED_MS,
    )


def post(server, headers, seconds, names=NAMES):
    """Post alerts as Prometheus does, and return the status; they end in some seconds."""
    ends_at = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
    alerts = [{"labels": {"alertname": name}, "endsAt": ends_at} for name in names]
    response = requests.post(
        f"{server.url}/api/v2/alerts", json=alerts, headers=headers, timeout=10
    )
    return response.status_code


def messages(receiver):
    """Return the received messages as name and status, sorted."""
    found = []
    for request in receiver.requests:
        alert = json.loads(request.body)["alert"]
        found.append((alert["name"], alert["status"]))
    return sorted(found)


def wait_for_rounds_of_the_worker(server, headers, receiver):
    """Wait until the worker has closed what is overdue, at least once since the last report.

    It looks for that once a second, and delivers the alert `marker` at some time after its start.
    """
    count = len(receiver.requests)
    assert post(server, headers, 60, ["marker"]) == 200
    assert len(receiver.wait_for(count + 1)) == count + 1
    reported = listening_until(server)
    while listening_until(server) < reported + 1500:
        time.sleep(0.05)


ONCE = sorted([(name, "open") for name in (*NAMES, "marker")])
AND_CLOSED = sorted([*ONCE, *[(name, "closed") for name in NAMES]])


def end_all(server, headers, receiver):
    """Resolve the alerts, and return all messages."""
    assert post(server, headers, 0) == 200
    receiver.wait_for(len(AND_CLOSED))
    return messages(receiver)


def test_a_restart_sends_no_false_resolution(start, receiver):
    server = start(TOCSIN_WORKERS="2")
    server.create_channel(receiver.url)
    headers = server.create_token()
    assert post(server, headers, 20) == 200
    assert len(receiver.wait_for(3)) == 3
    server.stop()
    set_times_back(server)
    server = start()
    wait_for_rounds_of_the_worker(server, headers, receiver)
    assert post(server, headers, 20) == 200
    assert messages(receiver) == ONCE
    assert end_all(server, headers, receiver) == AND_CLOSED
    assert "Traceback" not in server.output()
    assert "cannot report" not in server.output()


def test_a_worker_alone_closes_nothing_while_the_web_server_is_stopped(start, receiver):
    server = start(WebOnly)
    worker = start(WorkerOnly)
    server.create_channel(receiver.url)
    headers = server.create_token()
    assert post(server, headers, 20) == 200
    assert len(receiver.wait_for(3)) == 3
    server.stop()
    set_times_back(server)
    time.sleep(1.2)  # the worker looks for overdue alerts once a second
    assert server.query("SELECT count(*) FROM alert WHERE status = 'open'") == [(3,)]
    server = start(WebOnly)
    wait_for_rounds_of_the_worker(server, headers, receiver)
    assert post(server, headers, 20) == 200
    assert messages(receiver) == ONCE
    assert end_all(server, headers, receiver) == AND_CLOSED
    assert worker.process.poll() is None


def test_a_full_outbox_sends_no_false_resolution(start, receiver):
    server = start(TOCSIN_WORKERS="1")
    server.create_channel(receiver.url)
    headers = server.create_token()
    later = int(time.time() + 3600) * 1000
    assert post(server, headers, 60, ["first"]) == 200
    assert len(receiver.wait_for(1)) == 1
    server.query(_FILL, first=1, last=199_900, due_at=later)
    receiver.requests.clear()
    ends = time.time() + 2.5
    assert post(server, headers, ends - time.time()) == 200
    assert len(receiver.wait_for(3)) == 3
    server.query(_FILL, first=199_901, last=200_100, due_at=later)
    while post(server, headers, 60, ["disk"]) != 503:
        assert time.time() < ends
        time.sleep(0.05)
    server.query("UPDATE alert SET closes_at = :ends", ends=int(ends * 1000))
    time.sleep(0.1)  # a report may be under way
    reported = listening_until(server)
    time.sleep(max(0.0, ends + 0.2 - time.time()))
    assert listening_until(server) == reported
    assert post(server, headers, 60, ["disk"]) == 503
    server.query("DELETE FROM delivery WHERE id BETWEEN 199901 AND 200100")
    while post(server, headers, 60) == 503:  # it counts once a second
        time.sleep(0.05)
    wait_for_rounds_of_the_worker(server, headers, receiver)
    assert messages(receiver) == ONCE
    assert end_all(server, headers, receiver) == AND_CLOSED


def test_a_server_that_stops_reports_no_more_though_a_request_is_still_running(start, receiver):
    receiver.script = drip()
    server = start(WebOnly)
    token = token_in(server.person.get(f"{server.url}/channels/new", timeout=5).text)
    form = {**form_of(receiver.url, timeout="30"), "csrf_token": token}
    cookies = server.person.cookies.get_dict()

    def test():
        with contextlib.suppress(requests.ConnectionError):
            requests.post(f"{server.url}/channels/new/test", form, cookies=cookies, timeout=20)

    thread = threading.Thread(target=test)
    thread.start()
    receiver.wait_for(1)
    server.process.terminate()
    time.sleep(0.6)
    reported = listening_until(server)
    assert reported
    time.sleep(1.2)
    assert server.process.poll() is None
    assert listening_until(server) == reported
    receiver.close()
    server.stop()
    thread.join()
