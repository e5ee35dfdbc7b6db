"""A running server: its start, its output, its end, and slow receivers."""

import signal
import socket
import threading
import time

import pytest
import requests
from channels import form_of
from conftest import Live
from databases import ON_POSTGRESQL, only_sqlite
from markup import token_in
from processes import children_of, wait_until
from receiver import drip


@pytest.fixture
def started(tmp_path):
    """Return a function that starts a server with an environment."""
    servers = []

    def start(**environment):
        servers.append(Live(tmp_path, **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_the_first_start_creates_keys_and_database_and_prints_the_address(started, tmp_path):
    server = started()
    server.ready()
    wait_until(lambda: f"Tocsin is at {server.url}/" in server.output())
    created = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"secret.key", "encryption.keys"} <= created
    assert ("tocsin.db" in created) != ON_POSTGRESQL
    assert server.query('SELECT name FROM "user"') == [("admin",)]
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TOCSIN_BIND": "8123"}, "TOCSIN_BIND: '8123' is not host:port"),
        ({"TOCSIN_THREADS": "none"}, "TOCSIN_THREADS: 'none' is not a whole number"),
        ({"TOCSIN_ALLOW_NETWORKS": "10.0.0.0/99"}, "TOCSIN_ALLOW_NETWORKS"),
    ],
)
def test_an_invalid_variable_is_refused_by_name_in_one_line(started, environment, message):
    server = started(**environment)
    assert server.process.wait(20) == 2
    assert message in server.output()
    assert server.output().count("\n") == 1


@pytest.mark.parametrize(
    ("bind", "problem"),
    [
        ("127.0.0.1:{taken}", "another program listens there"),
        ("no-such-host.invalid:8000", "that host name is unknown"),
        ("192.0.2.7:8000", "this machine does not have that address"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused_at_once(started, bind, problem):
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = bind.format(taken=other.getsockname()[1])
        server = started(TOCSIN_BIND=bind)
        assert server.process.wait(20) == 2
    expected = f"tocsin: TOCSIN_BIND: cannot listen on {bind}: {problem}"
    assert server.output().startswith(expected)
    assert server.output().count("\n") == 1


def test_the_folder_of_the_start_gives_no_code_to_the_server(tmp_path):
    class InFolder(Live):
        started_in = tmp_path / "here"

    InFolder.started_in.mkdir()
    for name in ("wsgi", "app", "config", "gunicorn.conf"):
        (InFolder.started_in / f"{name}.py").write_text("raise SystemExit('somebody else')\n")
    server = InFolder(tmp_path)
    try:
        server.ready()
    finally:
        server.stop()
    assert "somebody else" not in (tmp_path / "log").read_text()


def test_a_web_process_that_cannot_start_ends_the_server_with_another_code_than_zero(started):
    server = started(TOCSIN_THREADS="8", GUNICORN_CMD_ARGS="--worker-connections 0 --threads x")
    assert server.process.wait(20) != 0


def test_sighup_replaces_the_web_processes_and_sigusr1_does_nothing(started, receiver):
    server = started(TOCSIN_WORKERS="1")
    server.ready()
    server.create_channel(receiver.url)
    headers = server.create_token()
    [before] = children_of(server.process.pid)
    server.process.send_signal(signal.SIGUSR1)
    assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200
    assert children_of(server.process.pid) == [before]
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: before not in children_of(server.process.pid))
    alert = {"name": "after the reload"}
    url = f"{server.url}/api/v1/alerts"
    assert requests.post(url, json=alert, headers=headers, timeout=10).status_code == 202
    assert receiver.wait_for(1)
    assert server.process.poll() is None
    assert server.output().count("Tocsin is at") == 1


@only_sqlite
def test_a_damaged_database_prevents_the_start_with_restore_instructions(started, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "tocsin.db").write_bytes(
        b"this is no database, whatever its name says" * 200
    )
    server = started()
    assert server.process.wait(20) == 2
    assert "is damaged" in server.output()
    assert "put your latest copy" in server.output()
    assert "Traceback" not in server.output()


def test_a_variable_without_an_effect_is_named_once_at_the_start(started):
    server = started(TOCSIN_QUEUE_URL="redis://queue.example", TOCSIN_PUBLC_URL="https://t.example")
    server.ready()
    output = server.output()
    assert output.count("TOCSIN_QUEUE_URL is set, but this version does not use it") == 1
    assert output.count("TOCSIN_PUBLC_URL is set, but there is no such variable") == 1


def test_a_request_of_ten_megabytes_gets_a_response_and_no_reset(live):
    response = live.person.post(f"{live.url}/channels", data=b"a" * 10_000_000, timeout=10)
    assert response.status_code == 413


def test_slow_receivers_occupy_test_slots_only(live, receiver):
    receiver.script = drip(every=0.3)
    with requests.Session() as browser:
        browser.cookies.update(live.person.cookies)
        token = token_in(browser.get(f"{live.url}/channels/new", timeout=5).text)
        form = {**form_of(receiver.url, timeout="2"), "csrf_token": token}
        cookies = browser.cookies.get_dict()
        answers = []

        def test():
            began = time.monotonic()
            answer = requests.post(
                f"{live.url}/channels/new/test", data=form, cookies=cookies, timeout=10
            )
            answers.append((answer.status_code, time.monotonic() - began))

        threads = [threading.Thread(target=test) for _ in range(30)]
        for thread in threads:
            thread.start()
        receiver.wait_for(4)
        assert browser.get(f"{live.url}/channels", timeout=5).status_code == 200
        assert any(thread.is_alive() for thread in threads)
        for thread in threads:
            thread.join()
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 4
    # bench/drip.py measures the time; here no request waits for a test to end.
    assert max(seconds for status, seconds in answers if status == 429) < min(
        s for status, s in answers if status == 200
    )


def test_sigterm_ends_tocsin_in_time_while_a_test_waits(started, receiver):
    receiver.script = drip()
    server = started()
    server.ready()
    with server.person as browser:
        token = token_in(browser.get(f"{server.url}/channels/new", timeout=5).text)
        form = {**form_of(receiver.url, timeout="30"), "csrf_token": token}
        cookies = browser.cookies.get_dict()

        def test():
            try:
                requests.post(
                    f"{server.url}/channels/new/test", data=form, cookies=cookies, timeout=20
                )
            except requests.ConnectionError:
                return

        thread = threading.Thread(target=test)
        thread.start()
        receiver.wait_for(1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 8
        thread.join()
