"""`tocsin serve` and `tocsin worker`."""

from typing import Any

import click

from config import Config
from serving import worker_process
from serving.server import serve as run_server
from startup import open_installation, prepare


@click.command()
@click.option("--no-worker", is_flag=True, help="Serve the pages only; run a worker elsewhere.")
def serve(no_worker: bool) -> None:
    """Serve the pages and deliver alerts until stopped."""
    run_server(prepare(Config.from_env()), with_worker=not no_worker)


@click.command()
@click.option("--lock", type=int, hidden=True, help="Descriptor of the worker's lock.")
@click.option("--parent", type=int, hidden=True, help="The process that supervises this one.")
@click.option("--slot", type=int, default=0, hidden=True, help="The number of this worker.")
@click.option("--core", type=int, hidden=True, help="The core that this worker is bound to.")
@click.option("--bind", hidden=True, help="Where the pages are, if not at TOCSIN_BIND.")
@click.option("--file", type=(int, int), hidden=True, help="Device and inode of the database.")
@click.option("--crashed", is_flag=True, hidden=True, help="The worker before this one crashed.")
def worker(lock: int | None, **given: Any) -> None:
    """Deliver alerts until stopped, in TOCSIN_SENDERS processes.

    On one data folder, a second one waits until the first has ended.
    """
    config = Config.from_env()
    if lock is None:
        worker_process.supervise(open_installation(config))
    else:
        worker_process.run(config, lock, **given)
