"""Threads for gunicorn's default web process, which handles one request at a time.

`gunicorn wsgi:app` without settings starts such processes. In one of them, a test that waits for
its receiver would stop all pages, and a test of the lab would wait for itself.
"""

import socket
import threading
from typing import Any

from gunicorn.workers.sync import SyncWorker

CLIENT_TIMEOUT = 10.0  # seconds in which a client neither sends nor reads
NOTIFY_SECONDS = 1.0


def add_threads(worker: SyncWorker, count: int) -> None:
    """Have a worker handle each connection in a thread of its own, `count` at a time.

    The process ends after its threads.
    """
    handle = worker.handle
    free = threading.BoundedSemaphore(count)

    def run(listener: Any, client: socket.socket, address: Any) -> None:
        try:
            handle(listener, client, address)
        finally:
            free.release()

    def start(listener: Any, client: socket.socket, address: Any) -> None:
        client.settimeout(CLIENT_TIMEOUT)
        while not free.acquire(timeout=NOTIFY_SECONDS):
            worker.notify()  # gunicorn kills a silent worker
        threading.Thread(target=run, args=(listener, client, address)).start()

    worker.handle = start
