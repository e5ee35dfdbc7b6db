"""The processes: one worker for an installation, however it is started, and the end of them all."""

import os
import signal
import sys
import threading
import time

import pytest
import requests
from conftest import Live, free_port
from processes import command_of, family, wait_until, workers_of

from delivery.queue import heartbeat
from locks import file_lock
from serving.supervisor import Supervisor


class ByHand(Live):
    program = (sys.executable, "-m", "gunicorn")
    command = ("wsgi:app",)


class WorkerOnly(Live):
    command = ("worker",)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a server on the same data folder as the others."""
    servers = []

    def start(live=Live, *options, **environment):
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        if options:
            live = type(live.__name__, (live,), {"command": (*options, *live.command)})
        server = live(folder, TOCSIN_DATA_DIR=str(tmp_path / "data"), **environment)
        servers.append(server)
        if not issubclass(live, WorkerOnly):
            server.ready()
        return server

    yield start
    for server in servers:
        server.stop()


def worker_of(server, other_than=0):
    """Wait for the worker of a server and return its process id."""
    pid = server.process.pid
    [worker] = wait_until(lambda: [one for one in workers_of(pid) if one != other_than])
    return worker


def gone(pids):
    return wait_until(lambda: not [pid for pid in pids if command_of(pid)], 8)


def post(server, headers, name):
    return requests.post(
        f"{server.url}/api/v1/alerts", json={"name": name}, headers=headers, timeout=10
    )


def ids(receiver):
    return {request.headers["webhook-id"] for request in receiver.requests}


def test_alerts_are_delivered_after_the_worker_or_a_web_process_is_killed(start, receiver):
    server = start()
    server.create_channel(receiver.url)
    headers = server.create_token()
    assert post(server, headers, "first").status_code == 202
    assert receiver.wait_for(1)
    worker = worker_of(server)
    os.kill(worker, signal.SIGKILL)
    assert post(server, headers, "second").status_code == 202
    assert receiver.wait_for(2)
    assert worker_of(server, other_than=worker)
    for web in family(server.process.pid)[1:3]:
        os.kill(web, signal.SIGKILL)
        wait_until(lambda: len(family(server.process.pid)) == 4)
        assert post(server, headers, f"after {web}").status_code == 202
    # A delivery that was under way at a kill may arrive twice, with the same id.
    wait_until(lambda: len(ids(receiver)) == 4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_after_a_signal(start, number):
    server = start()
    worker_of(server)
    pids = wait_until(lambda: len(family(server.process.pid)) == 4 and family(server.process.pid))
    os.kill(server.process.pid, number)
    code = server.process.wait(8)
    assert code == (-9 if number == signal.SIGKILL else 0)
    assert gone(pids)


def test_no_process_is_left_when_a_stopped_worker_loses_its_parent(start):
    server = start()
    worker = worker_of(server)
    pids = family(server.process.pid)
    os.kill(worker, signal.SIGSTOP)
    os.kill(server.process.pid, signal.SIGKILL)
    assert gone(pids)


# --- one worker, however it is started --------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--workers", "4"),
        ("--config", os.devnull, "--bind", "127.0.0.1:{port}"),
        ("--config", os.devnull, "--bind", "127.0.0.1:{port}", "--workers", "2", "--preload"),
    ],
    ids=" ".join,
)
@pytest.mark.filterwarnings("ignore")
def test_gunicorn_by_hand_delivers_with_one_worker(start, receiver, options):
    server = start(ByHand, *options)
    server.create_channel(receiver.url)
    assert post(server, server.create_token(), "first").status_code == 202
    assert receiver.wait_for(1)
    pids = family(server.process.pid)
    assert worker_of(server)
    assert server.stop() == 0
    assert gone(pids)


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=" ".join)
def test_the_setup_link_and_the_lab_have_the_address_that_gunicorn_was_given(start, options):
    elsewhere = f"127.0.0.1:{free_port()}"
    server = start(
        ByHand, *options, "--bind", "127.0.0.1:{port}", TOCSIN_BIND=elsewhere, TOCSIN_WORKERS="1"
    )
    wait_until(lambda: "stop it with" in server.output())
    assert f"Tocsin is at {server.url}/" in server.output()
    assert f"127.0.0.1:{server.port}".encode() in command_of(worker_of(server))
    page = server.person.get(f"{server.url}/lab", timeout=5).text
    assert f"{server.url}/lab/in/" in page
    assert elsewhere not in page + server.output()


def test_several_servers_on_one_data_folder_share_one_worker(start, receiver):
    servers = [start(ByHand), start(ByHand, "--preload"), start()]
    first = servers[0]
    first.create_channel(receiver.url)
    headers = first.create_token()
    [only] = wait_until(lambda: workers_of(*[one.process.pid for one in servers]))
    owner = next(one for one in servers if only in family(one.process.pid))
    assert post(first, headers, "first").status_code == 202
    assert receiver.wait_for(1)
    assert owner.stop() == 0
    servers.remove(owner)
    [_successor] = wait_until(lambda: workers_of(*[one.process.pid for one in servers]))
    assert post(servers[0], headers, "second").status_code == 202
    wait_until(lambda: len(ids(receiver)) == 2)


def test_several_workers_deliver_and_each_one_that_is_killed_is_replaced(start, receiver):
    server = start(TOCSIN_SENDERS="3", TOCSIN_PIN_CORES="1")
    workers = wait_until(lambda: len(found := workers_of(server.process.pid)) == 3 and found)
    cores = [[core] for core in sorted(os.sched_getaffinity(0))]
    pinned = sorted(cores[slot % len(cores)] for slot in range(3))
    wait_until(lambda: sorted(list(os.sched_getaffinity(pid)) for pid in workers) == pinned)
    server.create_channel(receiver.url)
    headers = server.create_token()
    count = 300
    batch = [{"name": f"alert {number}", "key": str(number)} for number in range(count)]
    url = f"{server.url}/api/v1/alerts"
    assert requests.post(url, json=batch, headers=headers, timeout=10).status_code == 202
    assert receiver.wait_for(10)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(ids(receiver)) == count)
    successors = wait_until(lambda: len(found := workers_of(server.process.pid)) == 3 and found)
    assert not set(successors) & set(workers)


def test_a_worker_alone_is_supervised_as_well(start, receiver):
    server = start(Live, TOCSIN_SENDERS="0")
    server.create_channel(receiver.url)
    alone = start(WorkerOnly)
    worker = worker_of(alone)
    os.kill(worker, signal.SIGKILL)
    assert worker_of(alone, other_than=worker)
    assert post(server, server.create_token(), "first").status_code == 202
    assert receiver.wait_for(1)
    assert not workers_of(server.process.pid)
    pids = family(alone.process.pid)
    assert alone.stop() == 0
    assert gone(pids)


@pytest.mark.parametrize(
    ("live", "environment"),
    [
        (type("NoWorker", (Live,), {"command": ("serve", "--no-worker")}), {}),
        (ByHand, {"TOCSIN_SENDERS": "0"}),
    ],
)
def test_without_a_worker_every_page_and_readyz_say_that_nothing_is_delivered(
    start, live, environment
):
    server = start(live, **environment)
    assert not workers_of(server.process.pid)
    answer = requests.get(f"{server.url}/readyz", timeout=5)
    assert answer.status_code == 503
    assert "switched off here" in answer.json()["status"]
    page = server.person.get(f"{server.url}/channels", timeout=5).text
    assert "Nothing is being delivered." in page
    assert "tocsin worker" in page


# --- watching ---------------------------------------------------------------------------------

STARTED = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True); "


class Watched:
    """A supervisor of a small program, in a thread."""

    def __init__(self, folder, program, max_silence=30.0):
        self.pids = folder / "pids"
        self.pids.touch()
        self._wanted = threading.Event()
        self._wanted.set()
        command = (sys.executable, "-c", STARTED + program, str(self.pids))
        supervisor = Supervisor(
            folder, self._wanted.is_set, command=command, max_silence=max_silence
        )
        self._thread = threading.Thread(target=supervisor.run)
        self._thread.start()

    def wait_for(self, count):
        """Return the process ids of the first workers."""
        return wait_until(
            lambda: len(self.pids.read_text().split()) >= count and self.pids.read_text().split()
        )

    def end(self):
        self._wanted.clear()
        self._thread.join()


@pytest.fixture
def watch(tmp_path):
    """Return a function that starts a supervisor of a small program."""
    started = []

    def watch(program, **options):
        started.append(Watched(tmp_path, program, **options))
        return started[-1]

    yield watch
    for one in started:
        one.end()


SLEEPS = "time.sleep(60)"
BEATS = "[(os.utime(int(sys.argv[3])), time.sleep(0.1)) for _ in range(600)]"


def test_a_silent_worker_is_killed_and_replaced(watch, caplog):
    supervisor = watch(SLEEPS, max_silence=0.5)
    first, *_others = supervisor.wait_for(2)
    assert not command_of(int(first))
    assert "the worker was silent" in caplog.text


def test_a_worker_that_gives_a_sign_of_life_is_left_alone(watch):
    supervisor = watch(BEATS, max_silence=1.0)
    [only] = supervisor.wait_for(1)
    time.sleep(1.5)
    assert supervisor.pids.read_text().split() == [only]
    assert command_of(int(only))


def test_a_second_supervisor_waits_for_the_lock(watch, tmp_path):
    with file_lock(heartbeat.lock_path(tmp_path)):
        supervisor = watch(SLEEPS)
        time.sleep(0.5)
        assert supervisor.pids.read_text() == ""
    assert supervisor.wait_for(1)


@pytest.mark.parametrize(
    ("program", "is_crash"),
    [
        ("os.kill(os.getpid(), 11)", True),
        ("sys.exit(1)", False),
        ("os.kill(os.getpid(), 9)", False),
    ],
)
def test_only_a_crash_by_a_signal_of_its_own_makes_what_it_sent_suspect(watch, program, is_crash):
    note = "open(sys.argv[1], 'a').write('+' * ('--crashed' in sys.argv)); "
    supervisor = watch(note + program)
    # The note of a run comes before the id of the next one.
    entries = supervisor.wait_for(4)
    assert [entry[0] == "+" for entry in entries[:4]] == [False, False, is_crash, is_crash]


def test_the_silence_of_a_worker_is_read_from_its_file(tmp_path):
    assert heartbeat.seconds_silent(tmp_path, time.time()) is None
    with file_lock(heartbeat.lock_path(tmp_path)) as lock:
        os.utime(lock, (1000, 1000))
        assert heartbeat.seconds_silent(tmp_path, 1042.5) == 42.5
        assert heartbeat.seconds_silent(tmp_path, 900) == 0
        heartbeat.beat(lock)
    assert heartbeat.seconds_silent(tmp_path, time.time()) < 10
