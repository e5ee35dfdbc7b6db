"""The task of huey that the comparison enqueues: one delivery with `Session.post`.

`BENCH_HUEY` says where the queue is: the path of an SQLite file, or a `redis://` address.
"""

import os
import threading

import huey
import requests

from parts.driver import TIMEOUT, TOKEN

QUEUE = os.environ["BENCH_HUEY"]
if QUEUE.startswith("redis:"):
    tasks = huey.RedisHuey("bench", url=QUEUE, results=False)
else:
    # Every commit waits for the disk, as Tocsin's do.
    tasks = huey.SqliteHuey("bench", filename=QUEUE, fsync=True, results=False)

_HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
_own = threading.local()


@tasks.task(retries=3, retry_delay=10)
def deliver(url: str, body: str) -> None:
    """Send one delivery on the session of this thread."""
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
    response = _own.session.post(url, data=body.encode(), headers=_HEADERS, timeout=TIMEOUT)
    response.raise_for_status()
