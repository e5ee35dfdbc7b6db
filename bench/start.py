"""From `make run` to the first answer, at a second start, and from SIGTERM until every process is gone."""

import contextlib
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from http.client import HTTPException
from urllib.request import urlopen

from parts import ROOT
from parts.figures import figure
from parts.tocsin import PASSWORD, Browser, alive, free_port, processes_of
from receiver import Receiver, silence

STARTS = 5
PATIENCE = 20.0


def main() -> None:
    if subprocess.run(["make", "-q", ".venv/runtime"], cwd=ROOT, check=False).returncode:
        raise SystemExit(
            "the environment is not made yet, and making it is not what this measures: run `make run` once first"
        )
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        first, _ = start_and_stop(folder)
        runs = [start_and_stop(folder) for _ in range(STARTS)]
        _, busy_stop = start_and_stop(folder, hold_a_test)
    starts, stops = zip(*runs, strict=True)
    figure("first start, with a new database", first, "s", places=2)
    figure(f"second start, median of {STARTS}", statistics.median(starts), "s", 1.5, places=2)
    figure(f"second start, longest of {STARTS}", max(starts), "s", 1.5, places=2)
    figure(
        f"SIGTERM until all processes are gone, median of {STARTS}",
        statistics.median(stops),
        "s",
        8,
        places=2,
    )
    figure(
        f"SIGTERM until all processes are gone, longest of {STARTS}", max(stops), "s", 8, places=2
    )
    figure("the same while a test waits for a silent receiver", busy_stop, "s", 8, places=2)


def start_and_stop(folder: str, meanwhile=None) -> tuple[float, float]:
    """The seconds until `/healthz` answered, and the seconds that the end took."""
    port = free_port()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    given = {
        "TOCSIN_BIND": f"127.0.0.1:{port}",
        "TOCSIN_DATA_DIR": folder,
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    given |= {"TOCSIN_ADMIN_PASSWORD": PASSWORD}
    began = time.monotonic()
    # A session of its own, so that whatever goes wrong, all of it can be ended at once.
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env={**plain, **given},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until_it_answers(port, process)
        started = time.monotonic() - began
        with contextlib.ExitStack() as stack:
            if meanwhile:
                stack.enter_context(meanwhile(port))
            return started, seconds_to_stop(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_it_answers(port: int, process: subprocess.Popen) -> None:
    """Returns at the first answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("Tocsin did not start")


def seconds_to_stop(process: subprocess.Popen) -> float:
    """SIGTERM to what `make run` started, as whoever started it would send it."""
    pids, began = processes_of(process.pid), time.monotonic()
    assert len(pids) > 2, "there should be make, a master and workers"
    process.terminate()
    while any(alive(pid) for pid in pids) and time.monotonic() - began < PATIENCE:
        process.poll()
        time.sleep(0.01)
    return time.monotonic() - began


@contextlib.contextmanager
def hold_a_test(port: int):
    """Meanwhile, a test of a channel with the longest timeout waits for a receiver that never answers."""
    receiver = Receiver()
    receiver.script = silence
    try:
        browser = Browser(port)
        channel = browser.create_channel(receiver.url, timeout="30")
        form = browser.encoded(browser.form_of(channel))
        threading.Thread(
            target=_given_up, args=(browser, f"/channels/{channel}/test", form), daemon=True
        ).start()
        assert receiver.wait_for(1), "the test did not reach the receiver"
        yield
    finally:
        receiver.close()


def _given_up(browser: Browser, path: str, form: bytes) -> None:
    with contextlib.suppress(OSError, HTTPException):
        browser.answer(path, form, 200)


if __name__ == "__main__":
    main()
