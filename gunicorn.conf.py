"""gunicorn's settings, read from Tocsin's environment variables."""

import gc
import os

import startup
from config import Config
from serving.cores import core_of, pin_to

tocsin = Config.from_env()

bind = tocsin.bind
workers = tocsin.workers
threads = tocsin.threads
worker_class = "serving.gunicorn_worker.BufferingWorker"
# With the files of the database, within the usual limit of 1024 open files.
worker_connections = 700
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
control_socket_disable = True
keepalive = 5
timeout = 60
# A test may take 30 s, but stopping Tocsin does not wait that long for it. The worker ends within
# this time as well.
graceful_timeout = 6
loglevel = "warning"
logger_class = "serving.gunicorn_log.Log"
# web/auth/proxy.py reads the headers of the trusted proxies.
forwarded_allow_ips = ""


def on_starting(server):
    """Create the keys and migrate the database before the first fork; a failure ends the start."""
    startup.prepare(tocsin)


def post_fork(server, worker):
    """Bind the process to one core, if that is wanted."""
    if tocsin.pin_cores:
        pin_to(core_of(worker.age))


def post_worker_init(worker):
    """Exclude all that is loaded from garbage collection, to avoid pauses in requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
