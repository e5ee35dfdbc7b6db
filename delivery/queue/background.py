"""Runs what waits for a receiver beside the loop of the worker."""

import threading
from collections.abc import Callable


def run_in_thread(task: Callable[[], None]) -> None:
    """Run a task in a thread that does not keep the process from ending."""
    threading.Thread(target=task, name="background", daemon=True).start()
