"""The processes of `tocsin serve`: the web server and the worker, started and ended together."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(__file__).with_name("cli.py")
KILL_AFTER = 7  # seconds from SIGTERM until SIGKILL
MIN_LIFETIME = 2.0  # seconds; a worker that ends sooner is started again after a delay
MIN_DELAY = 0.1
MAX_DELAY = 5.0
# Exit codes of a worker that another process ended.
_ENDED_BY_OTHERS = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass
class Supervisor:
    """Runs the web server in a child process, and restarts the worker when it ends."""

    run_web: Callable[[], None]
    with_worker: bool
    _web_pid: int = 0
    _worker: subprocess.Popen | None = None
    _worker_started: float = 0
    _delay: float = 0
    _ending: bool = False

    def run(self) -> int:
        """Run until the web server ends or a signal arrives, and return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, lambda _number, _frame: self._send_signal(signal.SIGKILL))
        self._fork_web()
        self._start_worker()
        code = 0
        while self._web_pid or self._worker:
            pid, status = os.wait()
            if pid == self._web_pid:
                self._web_pid = 0
                code = os.waitstatus_to_exitcode(status)
                self._end()
            elif self._worker and pid == self._worker.pid:
                self._worker = None
                worker_code = os.waitstatus_to_exitcode(status)
                self._start_worker(crashed=worker_code < 0 and worker_code not in _ENDED_BY_OTHERS)
        return 0 if self._ending and code in (0, -signal.SIGTERM) else abs(code)

    def _fork_web(self) -> None:
        """Fork the web server, which shares the modules that are loaded already."""
        self._web_pid = os.fork()
        if self._web_pid:
            return
        die_with_parent()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        self.run_web()
        os._exit(0)

    def _start_worker(self, crashed: bool = False) -> None:
        """Start the worker; delay it longer and longer while it keeps ending at once."""
        command = [sys.executable, str(COMMAND), "worker", "--parent", str(os.getpid())]
        if crashed:
            command.append("--crashed")
        while self.with_worker and not self._ending and self._worker is None:
            self._wait_before_restart()
            self._worker_started = time.monotonic()
            with contextlib.suppress(OSError):  # the system has no room for another process
                self._worker = subprocess.Popen(command)  # noqa: S603 (this program itself)
        if self._ending:
            # The signal may have come before the worker had a pid.
            self._send_signal(signal.SIGTERM)

    def _wait_before_restart(self) -> None:
        if not self._worker_started or time.monotonic() - self._worker_started >= MIN_LIFETIME:
            self._delay = 0
            return
        self._delay = min(MAX_DELAY, self._delay * 2 or MIN_DELAY)
        deadline = time.monotonic() + self._delay
        while not self._ending and time.monotonic() < deadline:
            time.sleep(0.05)

    def _end(self, *_signal: object) -> None:
        self._ending = True
        self._send_signal(signal.SIGTERM)
        signal.alarm(KILL_AFTER)

    def _send_signal(self, number: int) -> None:
        pids = [self._web_pid]
        if self._worker:
            pids.append(self._worker.pid)
        # Popen.send_signal() would reap the worker, which run() waits for.
        for pid in filter(None, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def die_with_parent() -> None:
    """End this process when its parent is killed. On systems other than Linux, do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
