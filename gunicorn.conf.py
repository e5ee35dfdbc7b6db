"""gunicorn's settings, read from Tocsin's environment variables."""

import gc
import os

import database
import startup
from clock import now_ms
from config import Config
from delivery.listening import start_reporting
from models import db
from web.accounts import users

tocsin = Config.from_env()

bind = f"[{tocsin.host}]:{tocsin.port}" if ":" in tocsin.host else f"{tocsin.host}:{tocsin.port}"
workers = tocsin.workers
threads = tocsin.threads
worker_class = "gthread"
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
control_socket_disable = True
keepalive = 5
timeout = 60
# A test may take 30 s, but stopping Tocsin does not wait that long for it.
graceful_timeout = 5
loglevel = "warning"
# web/auth/proxy.py reads the headers of the trusted proxies.
forwarded_allow_ips = ""


def on_starting(server):
    """Create the keys and migrate the database before the first fork; a failure ends the start."""
    startup.prepare(tocsin)


def when_ready(server):
    """Print notices, the set-up link and the address."""
    notices = [database.journal_notice()]
    with db.connection_context():
        secret = users.setup_secret(now_ms())
    if secret:
        link = f"{tocsin.base_url}/setup/{secret}"
        notices.append(f"Create the first account (this link works once): {link}")
    for notice in filter(None, notices):
        print(f"tocsin: {notice}")
    address = f"Tocsin is at {tocsin.address} (data in {tocsin.data_dir})"
    print(f"{address}; stop it with Ctrl-C.", flush=True)


def post_fork(server, worker):
    """Bind the process to one core; this pays only where Tocsin has the cores for itself."""
    if tocsin.pin_cores:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[worker.age % len(cores)]})


def post_worker_init(worker):
    """Report that alerts are accepted.

    Everything loaded so far is excluded from garbage collection, to avoid pauses in requests.
    """
    start_reporting(lambda: worker.alive)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
