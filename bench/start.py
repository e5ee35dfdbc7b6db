"""Duration from `make run` to the first response, and from SIGTERM to the end of all processes."""

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
from parts.tocsin import PASSWORD, Browser, alive, family, free_port
from receiver import Receiver, silence

STARTS = 5
TIMEOUT = 20.0  # seconds


def main() -> None:
    if subprocess.run(["make", "-q", ".venv/runtime"], cwd=ROOT, check=False).returncode:
        raise SystemExit("The virtual environment is missing: run `make run` once first.")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        first, _ = start_and_stop(folder)
        runs = [start_and_stop(folder) for _ in range(STARTS)]
        _, busy_stop = start_and_stop(folder, hold_a_test)
    starts, stops = zip(*runs, strict=True)
    figure("first start, with a new database", first, "s", places=2)
    figure(f"second start, median of {STARTS}", statistics.median(starts), "s", 1.5, places=2)
    figure(f"second start, longest of {STARTS}", max(starts), "s", 1.5, places=2)
    name = "SIGTERM until all processes have ended"
    figure(f"{name}, median of {STARTS}", statistics.median(stops), "s", 8, places=2)
    figure(f"{name}, longest of {STARTS}", max(stops), "s", 8, places=2)
    figure(f"{name}, while a test waits for a silent receiver", busy_stop, "s", 8, places=2)


def start_and_stop(folder: str, activity=None) -> tuple[float, float]:
    """Return the seconds until `/healthz` responds, and the seconds from SIGTERM to the end."""
    port = free_port()
    others = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    environment = {
        **others,
        "TOCSIN_BIND": f"127.0.0.1:{port}",
        "TOCSIN_DATA_DIR": folder,
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
        "TOCSIN_ADMIN_PASSWORD": PASSWORD,
    }
    start = time.monotonic()
    # The processes get their own session, so that all of them can be killed at once.
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_response(port, process)
        started = time.monotonic() - start
        with contextlib.ExitStack() as stack:
            if activity:
                stack.enter_context(activity(port))
            return started, seconds_to_stop(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_response(port: int, process: subprocess.Popen) -> None:
    """Return at the first response.

    Raises:
        AssertionError: Tocsin did not start.
    """
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("Tocsin did not start")


def seconds_to_stop(process: subprocess.Popen) -> float:
    """Send SIGTERM to `make run`; return the seconds until all its processes have ended."""
    pids = family(process.pid)
    start = time.monotonic()
    assert len(pids) > 2, "there should be make, a master and workers"
    process.terminate()
    while any(alive(pid) for pid in pids) and time.monotonic() - start < TIMEOUT:
        process.poll()
        time.sleep(0.01)
    return time.monotonic() - start


@contextlib.contextmanager
def hold_a_test(port: int):
    """Keep a test waiting for a receiver that never responds, with the longest timeout."""
    receiver = Receiver()
    receiver.script = silence
    try:
        browser = Browser(port)
        channel = browser.create_channel(receiver.url, timeout="30")
        form = browser.encoded(browser.form_of(channel))
        arguments = (browser, f"/channels/{channel}/test", form)
        threading.Thread(target=_test_without_response, args=arguments, daemon=True).start()
        assert receiver.wait_for(1), "the test did not reach the receiver"
        yield
    finally:
        receiver.close()


def _test_without_response(browser: Browser, path: str, form: bytes) -> None:
    with contextlib.suppress(OSError, HTTPException):
        browser.submit(path, form, 200)


if __name__ == "__main__":
    main()
