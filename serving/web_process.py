"""What a web process does besides answering requests, however gunicorn was started.

`gunicorn wsgi:app` may run without `gunicorn.conf.py`, so no hook of gunicorn is relied on.
"""

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial

from flask import Flask
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

import database
from app import configure
from clock import now_ms
from config import Config
from delivery.listening import start_reporting
from locks import file_lock
from models import db
from operating.running import SERVING
from serving.supervisor import start_supervisors
from serving.sync_threads import add_threads
from web.accounts import users
from web.services import Services

START_SECONDS = 60.0

_serving = contextlib.ExitStack()  # the lock of this process, until it ends


def start(app: Flask) -> None:
    """Start the threads of this web process, or with `--preload` of every one that it forks."""
    worker = _gunicorn_worker()
    if worker:
        _start(app, worker)
        return
    os.register_at_fork(after_in_child=lambda: _start_when_forked(app))


def _gunicorn_worker() -> Worker | None:
    """Return gunicorn's worker of this process: it handles SIGTERM."""
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if isinstance(owner, Worker) else None


def _start_when_forked(app: Flask) -> None:
    threading.Thread(target=_wait_and_start, args=(app,), daemon=True, name="start").start()


def _wait_and_start(app: Flask) -> None:
    """Start once gunicorn has set up its worker; in other forks there is none."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        worker = _gunicorn_worker()
        if worker:
            _start(app, worker)
            return
        time.sleep(0.01)


def _start(app: Flask, worker: Worker) -> None:
    services: Services = app.extensions["tocsin"]
    config = _with_address(services.config, worker.cfg.address)
    if isinstance(worker, SyncWorker):
        add_threads(worker, config.threads)
    elif isinstance(worker, ThreadWorker):
        config = replace(config, threads=worker.cfg.threads)
    if config != services.config:
        configure(app, config)
    _serving.enter_context(file_lock(config.data_dir / SERVING, shared=True))
    start_reporting(lambda: worker.alive)
    if worker.age == 1:
        _print_notices(config)
    start_supervisors(config, partial(_is_serving, worker), config.bind, db.file)


def _is_serving(worker: Worker) -> bool:
    """Return False once this process ends: by a signal, without its parent, or by a failure."""
    is_running = worker.alive and threading.main_thread().is_alive()
    return is_running and os.getppid() == worker.ppid


def _with_address(config: Config, addresses: list) -> Config:
    """Return the configuration with the address of gunicorn's `--bind`, if it has one.

    gunicorn's addresses are also paths of sockets, or descriptors of sockets that are bound.
    """
    for address in addresses:
        if isinstance(address, tuple):
            return replace(config, host=address[0], port=address[1])
    return config


def _print_notices(config: Config) -> None:
    """Print notices, the set-up link and the address."""
    notices = [database.journal_notice()]
    with db.connection_context():
        secret = users.setup_secret(now_ms())
    if secret:
        link = f"{config.base_url}/setup/{secret}"
        notices.append(f"Create the first account (this link works once): {link}")
    for notice in filter(None, notices):
        print(f"tocsin: {notice}")
    address = f"Tocsin is at {config.address} (data in {config.data_dir})"
    print(f"{address}; stop it with Ctrl-C.", flush=True)
