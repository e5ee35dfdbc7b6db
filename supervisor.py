"""What `tocsin serve` is made of: the web server and the worker, two processes that are started, watched and ended together."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 7  # seconds from SIGTERM until whatever still runs is killed
SHORT_LIFE = 2.0
LONGEST_PAUSE = 5.0
_FROM_OUTSIDE = (0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG (prctl(2))


class Supervisor:
    """Runs `web` in a process of its own, and the worker beside it if that is wanted; starts a worker anew that has died."""

    def __init__(self, web: Callable[[], None], with_worker: bool):
        self._web, self._with_worker, self._web_pid = web, with_worker, 0
        self._worker: subprocess.Popen | None = None
        self._began = self._pause = 0.0
        self._ending = False

    def run(self) -> int:
        """Until the web server ends, or a signal ends both; the exit code (0 when it was asked to end)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, lambda _number, _frame: self._signal(signal.SIGKILL))
        self._web_pid = self._forked()
        self._start_worker()
        code = 0
        while self._web_pid or self._worker:
            pid, status = os.wait()
            if pid == self._web_pid:
                self._web_pid, code = 0, os.waitstatus_to_exitcode(status)
                self._end()
            elif self._worker and pid == self._worker.pid:
                self._worker = None
                code_of_worker = os.waitstatus_to_exitcode(status)
                self._start_worker(
                    crashed=code_of_worker < 0 and code_of_worker not in _FROM_OUTSIDE
                )
        return 0 if self._ending and code in (0, -signal.SIGTERM) else abs(code)

    def _forked(self) -> int:
        """The web server, out of what is loaded here already."""
        pid = os.fork()
        if pid:
            return pid
        die_with_parent()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        self._web()
        os._exit(0)

    def _start_worker(self, crashed: bool = False) -> None:
        """A worker that lives only for moments, or cannot even be started, is started more and more slowly."""
        words = ["worker", "--parent", str(os.getpid()), *(["--crashed"] if crashed else [])]
        while self._with_worker and not self._ending and self._worker is None:
            short = time.monotonic() - self._began < SHORT_LIFE
            self._pause = (
                min(LONGEST_PAUSE, self._pause * 2 or 0.1) if short and self._began else 0.0
            )
            until = time.monotonic() + self._pause
            while not self._ending and time.monotonic() < until:
                time.sleep(0.05)
            self._began = time.monotonic()
            with contextlib.suppress(OSError):  # no room for a further process just now
                # What is run is this program itself.
                self._worker = subprocess.Popen([sys.executable, str(HERE / "cli.py"), *words])  # noqa: S603
        if self._ending:
            self._signal(signal.SIGTERM)  # it may have come while the worker had no number yet

    def _end(self, *_signal: object) -> None:
        self._ending = True
        self._signal(signal.SIGTERM)
        signal.alarm(PATIENCE)

    def _signal(self, number: int) -> None:
        for pid in (self._web_pid, self._worker.pid if self._worker else 0):
            if not pid:
                continue
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def die_with_parent() -> None:
    """Ends this process when its parent is killed: nobody would end it then. Where the system knows no such thing, nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
