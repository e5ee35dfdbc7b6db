"""The worker processes of a data folder: started, watched and replaced.

Every web process and `tocsin worker` run a supervisor for each worker. The one that gets the lock
of that worker starts it, and the worker inherits the lock: no other one starts while it lives. It
touches the file of the lock at every round of its loop, and one that is silent is replaced.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config import Config
from database import FileId
from delivery.queue import heartbeat
from locks import file_lock

COMMAND = (sys.executable, str(Path(__file__).parents[1] / "cli.py"), "worker")
POLL_SECONDS = 0.2
KILL_AFTER = 5.5  # seconds from SIGTERM until SIGKILL
MIN_LIFETIME = 2.0  # seconds; a worker that ends sooner is started again after a delay
MIN_DELAY = 0.1
MAX_DELAY = 5.0
# Exit codes of a worker that another process ended.
_ENDED_BY_OTHERS = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)

log = logging.getLogger("tocsin.supervisor")


@dataclass
class Supervisor:
    """Keeps a worker of a data folder running while `is_wanted` returns True.

    `slot` is the number of the worker in the folder.
    """

    folder: Path
    is_wanted: Callable[[], bool]
    slot: int = 0
    bind: str = ""  # the address of the pages; empty: TOCSIN_BIND
    file: FileId | None = None  # of the database, with which every worker stays
    command: tuple[str, ...] = COMMAND
    max_silence: float = heartbeat.REPLACED_AFTER

    def run(self) -> None:
        """Wait for the lock, and run the worker until it is no longer wanted."""
        while self.is_wanted():
            with contextlib.ExitStack() as stack:
                lock = -1
                with contextlib.suppress(OSError):  # another supervisor has it
                    path = heartbeat.lock_path(self.folder, self.slot)
                    lock = stack.enter_context(file_lock(path, wait=False))
                if lock < 0:
                    time.sleep(POLL_SECONDS)
                    continue
                self._keep_running(lock)

    def _keep_running(self, lock: int) -> None:
        """Start the worker again when it ends; later and later while it keeps ending at once."""
        crashed = False
        delay = 0.0
        while self.is_wanted():
            started_at = time.monotonic()
            with contextlib.suppress(OSError):  # the system has no room for another process
                worker = self._start(lock, crashed)
                code = self._watch(worker, lock)
                crashed = code < 0 and code not in _ENDED_BY_OTHERS
                if self.is_wanted():
                    log.warning("the worker ended with code %d and is started again", code)
            if time.monotonic() - started_at >= MIN_LIFETIME:
                delay = 0.0
                continue
            delay = min(MAX_DELAY, delay * 2 or MIN_DELAY)
            self._pause(delay)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.is_wanted() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _start(self, lock: int, crashed: bool) -> subprocess.Popen:
        command = [*self.command, "--lock", str(lock), "--parent", str(os.getpid())]
        command += ["--slot", str(self.slot)]
        if self.bind:
            command += ["--bind", self.bind]
        if self.file:
            command += ["--file", *map(str, self.file)]
        if crashed:
            command.append("--crashed")
        return subprocess.Popen(command, pass_fds=(lock,))  # noqa: S603 (this program itself)

    def _watch(self, worker: subprocess.Popen, lock: int) -> int:
        """Return the exit code of the worker, which is killed if it is silent."""
        silence = 0.0
        beat_at = 0
        checked_at = time.monotonic()
        while worker.poll() is None:
            if not self.is_wanted():
                return _end(worker)
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            # While this process was suspended, the worker may have been as well.
            silence += min(now - checked_at, 1.0)
            checked_at = now
            last_beat = os.fstat(lock).st_mtime_ns
            if last_beat != beat_at:
                silence = 0.0
                beat_at = last_beat
            if silence > self.max_silence:
                log.error("the worker was silent for %d s and is replaced", self.max_silence)
                worker.kill()
                return worker.wait()
        return worker.returncode


def _end(worker: subprocess.Popen) -> int:
    """End the worker, which finishes its attempts for some seconds, and return its exit code."""
    worker.terminate()
    try:
        return worker.wait(KILL_AFTER)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def start_supervisors(
    config: Config, is_wanted: Callable[[], bool], bind: str = "", file: FileId | None = None
) -> list[threading.Thread]:
    """Keep all workers of a data folder running, in a thread each; return the threads.

    They are no daemons: a process ends after its workers, which die with the thread that started
    them (prctl(2)).
    """
    threads = []
    for slot in range(config.senders):
        supervisor = Supervisor(config.data_dir, is_wanted, slot, bind, file)
        threads.append(threading.Thread(target=supervisor.run, name=f"supervisor {slot}"))
        threads[-1].start()
    return threads
