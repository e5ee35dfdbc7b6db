"""Measure the start (`make run` to the first response) and the stop (SIGTERM to the last exit)."""

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
TIMEOUT = 20.0


def main() -> None:
    if subprocess.run(["make", "-q", ".venv/runtime"], cwd=ROOT, check=False).returncode:
        raise SystemExit(
            "run `make run` once first: creating the environment is not part of the measurement"
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
        f"SIGTERM until all processes have ended, median of {STARTS}",
        statistics.median(stops),
        "s",
        8,
        places=2,
    )
    figure(
        f"SIGTERM until all processes have ended, longest of {STARTS}", max(stops), "s", 8, places=2
    )
    figure("the same while a test waits for a silent receiver", busy_stop, "s", 8, places=2)


def start_and_stop(folder: str, during_stop=None) -> tuple[float, float]:
    """Return the seconds until `/healthz` answers, and the seconds of the stop."""
    port = free_port()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    environ = {
        "TOCSIN_BIND": f"127.0.0.1:{port}",
        "TOCSIN_DATA_DIR": folder,
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    environ |= {"TOCSIN_ADMIN_PASSWORD": PASSWORD}
    start = time.monotonic()
    # Its own session, so that all of its processes can be killed together.
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env={**plain, **environ},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_response(port, process)
        started = time.monotonic() - start
        with contextlib.ExitStack() as stack:
            if during_stop:
                stack.enter_context(during_stop(port))
            return started, seconds_to_stop(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_response(port: int, process: subprocess.Popen) -> None:
    """Wait for the first response of `/healthz`."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("Tocsin did not start")


def seconds_to_stop(process: subprocess.Popen) -> float:
    """Send SIGTERM to `make run` and return the seconds until all of its processes have ended."""
    pids = processes_of(process.pid)
    start = time.monotonic()
    assert len(pids) > 2, "expected make, a supervisor and its children"
    process.terminate()
    while any(alive(pid) for pid in pids) and time.monotonic() - start < TIMEOUT:
        process.poll()
        time.sleep(0.01)
    return time.monotonic() - start


@contextlib.contextmanager
def hold_a_test(port: int):
    """Run a test with the longest timeout and a silent receiver during the block."""
    receiver = Receiver()
    receiver.script = silence
    try:
        browser = Browser(port)
        channel = browser.create_channel(receiver.url, timeout="30")
        form = browser.encoded(browser.form_of(channel))
        threading.Thread(
            target=_abandoned_test, args=(browser, f"/channels/{channel}/test", form), daemon=True
        ).start()
        assert receiver.wait_for(1), "the test did not reach the receiver"
        yield
    finally:
        receiver.close()


def _abandoned_test(browser: Browser, path: str, form: bytes) -> None:
    with contextlib.suppress(OSError, HTTPException):
        browser.answer(path, form, 200)


if __name__ == "__main__":
    main()
