"""SIGHUP and SIGUSR2: reloading files and starting again, without a lost request."""

import signal
import socket
import sys
import threading

import pytest
import requests
from conftest import ROOT, Live
from processes import children_of, wait_until, with_socket, workers_of
from test_serve import started  # noqa: F401 (a fixture)

from serving import server as serving_server

KEY = "the first key of the sessions, long enough"


class OnGivenSocket(Live):
    """Tocsin with a socket from systemd, as descriptor 3."""

    def __init__(self, folder, listener, **environment):
        self.program = with_socket(listener, sys.executable, str(ROOT / "cli.py"))
        self.passed = (listener.fileno(),)
        super().__init__(folder, **environment)


@pytest.fixture
def asking():
    """Return a function that requests a URL again and again, until the test ends or calls stop."""
    stops = []

    def asking(url):
        stop = threading.Event()
        results = []

        def ask():
            while not stop.is_set():
                try:
                    results.append(requests.get(url, timeout=20).status_code)
                except requests.RequestException as error:
                    results.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()

        def end():
            stop.set()
            for thread in threads:
                thread.join()
            return results

        stops.append(end)
        return end, results

    yield asking
    for stop in stops:
        stop()


def test_sighup_reads_files_again_and_loses_no_request(started, tmp_path, asking):  # noqa: F811
    file = tmp_path / "key"
    file.write_text(KEY)
    server = started(TOCSIN_SECRET_KEY_FILE=str(file), TOCSIN_WORKERS="1")
    server.ready()
    assert server.person.get(f"{server.url}/channels", timeout=5).url.endswith("/channels")
    file.write_text(KEY[::-1])
    end, _results = asking(f"{server.url}/healthz")
    [before] = children_of(server.process.pid)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: before not in children_of(server.process.pid), 20)
    assert set(end()) == {200}
    # The session was signed with the other key.
    assert "/login" in server.person.get(f"{server.url}/channels", timeout=5).url


def test_sighup_with_an_invalid_file_changes_nothing_and_says_so(started, tmp_path):  # noqa: F811
    file = tmp_path / "key"
    file.write_text(KEY)
    server = started(TOCSIN_SECRET_KEY_FILE=str(file), TOCSIN_WORKERS="1")
    server.ready()
    before = children_of(server.process.pid)
    file.write_text("")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no reload: TOCSIN_SECRET_KEY_FILE: " in server.output())
    assert children_of(server.process.pid) == before
    assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200


def test_sighup_with_the_keys_of_another_installation_changes_nothing(
    started,  # noqa: F811
    tmp_path,
    receiver,
):
    server = started(TOCSIN_WORKERS="1")
    server.ready()
    server.create_channel(receiver.url)
    before = children_of(server.process.pid)
    keys = tmp_path / "data" / "encryption.keys"
    keys.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no reload: TOCSIN_ENCRYPTION_KEYS: " in server.output())
    assert children_of(server.process.pid) == before


def test_sigusr2_starts_again_in_the_same_process_and_refuses_no_client(
    started,  # noqa: F811
    receiver,
    asking,
):
    server = started(TOCSIN_WORKERS="1")
    server.ready()
    server.create_channel(receiver.url)
    wait_until(lambda: workers_of(server.process.pid))
    before = {*children_of(server.process.pid), *workers_of(server.process.pid)}
    end, results = asking(f"{server.url}/healthz")
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: server.output().count("Tocsin is at") == 2, 30)
    count = len(results)
    wait_until(lambda: len(results) > count + 5)
    assert set(end()) == {200}
    wait_until(lambda: workers_of(server.process.pid))
    after = {*children_of(server.process.pid), *workers_of(server.process.pid)}
    assert not before & after
    server.post_alert(name="after the restart")
    assert receiver.wait_for(1, 10)
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("command", "starts"),
    [
        (["-c", "", "serve"], True),
        (["-c", "import sys; sys.exit('this file is for Python 3.9')", "serve"], False),
    ],
)
def test_a_program_that_does_not_start_is_not_started_again(monkeypatch, caplog, command, starts):
    monkeypatch.setattr(sys, "orig_argv", ["python", *command])
    assert serving_server._can_start() == starts
    assert ("no restart: the program does not start: this file is for" in caplog.text) != starts


def test_a_socket_of_systemd_is_served_and_stays_open(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}/healthz"
        for _start in range(2):
            server = OnGivenSocket(tmp_path, listener, bind=f"127.0.0.1:{port}")
            try:
                assert requests.get(url, timeout=20).status_code == 200
            finally:
                assert server.stop() == 0


def test_a_socket_of_systemd_on_another_port_than_tocsin_bind_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = OnGivenSocket(tmp_path, listener)
        assert server.process.wait(20) == 2
        assert f"TOCSIN_BIND: it is 127.0.0.1:{server.port}, but the socket" in server.output()
        server.log.close()
