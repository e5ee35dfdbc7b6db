"""gunicorn's settings, from the same environment as everything else."""

import gc
import os

import database
from clock import now_ms
from config import Config, unused_variables
from models import db
from startup import prepare
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
# A test may take 30 s, but who stops Tocsin does not wait for it longer than this.
graceful_timeout = 5
loglevel = "warning"
# Who asks is said by web/proxy.py, from the proxies of TOCSIN_TRUSTED_PROXIES alone.
forwarded_allow_ips = ""
logger_class = "gunicorn.glogging.Logger"


def on_starting(server):
    """Keys and migrations, before the first worker is forked; a failure here ends the start."""
    prepare(tocsin)


def when_ready(server):
    """Says where to go."""
    unused = [f"{name} is set, but this version does not use it." for name in unused_variables()]
    for note in filter(None, [database.journal_notice(), *unused]):
        print(f"tocsin: {note}", flush=True)
    with db.connection_context():
        secret = users.setup_secret(now_ms())
    if secret:
        print(
            f"tocsin: Make the first account (this link is good once): {tocsin.base_url}/setup/{secret}",
            flush=True,
        )
    print(
        f"Tocsin is at {tocsin.address} (data in {tocsin.data_dir}); stop it with Ctrl-C.",
        flush=True,
    )


def post_fork(server, worker):
    """A process that stays on one core does not hand its lock from core to core; worth it where the cores are ours alone."""
    if tocsin.pin_cores:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[worker.age % len(cores)]})


def post_worker_init(worker):
    """What is loaded by now stays; taken out of the garbage collector's rounds, it costs no request a pause."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
