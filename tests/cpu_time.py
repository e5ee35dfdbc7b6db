"""CPU time that a test measures."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Spent:
    """CPU time in seconds, known at the end of the measurement."""

    seconds: float = 0.0


@contextmanager
def cpu_time() -> Iterator[Spent]:
    """Measure the CPU time of a block.

    The garbage collector waits: how long it takes depends on what other tests have loaded.
    """
    spent = Spent()
    was_enabled = gc.isenabled()
    gc.disable()
    began = time.process_time()
    try:
        yield spent
    finally:
        spent.seconds = time.process_time() - began
        if was_enabled:
            gc.enable()
