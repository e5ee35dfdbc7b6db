"""Run a worker with a resolver of its own: every name is on the loopback interface.

A lookup takes 100 ms; the name server of `dead-….test` never responds.
"""

import signal
import socket
import threading
import time
from functools import partial

import database
from config import Config
from delivery.queue.heartbeat import beat, lock_path
from delivery.working import work
from locks import file_lock

LOOKUP_SECONDS = 0.1
HANG_SECONDS = 20.0  # as long as glibc tries two name servers twice
MAX_LIFETIME = 300  # seconds


def getaddrinfo(host: str, port: int | None, *_args, **_options) -> list[tuple]:
    """Return the loopback address after the time that the name server needs."""
    if host.startswith("dead-"):
        time.sleep(HANG_SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "no response")
    time.sleep(LOOKUP_SECONDS)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def main() -> None:
    config = Config.from_env().with_keys()
    database.open_database(config.database)
    with file_lock(lock_path(config.data_dir)) as lock:
        work(config, threading.Event(), partial(beat, lock))


if __name__ == "__main__":
    signal.alarm(MAX_LIFETIME)
    socket.getaddrinfo = getaddrinfo
    main()
