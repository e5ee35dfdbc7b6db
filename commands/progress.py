"""Progress of long work: a bar on a terminal, nothing where standard error is none."""

import contextlib
import itertools
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

import click

T = TypeVar("T")
Advance = Callable[[int], None]
MAX_UPDATES = 100


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how much of a task is done; the block calls what it gets with each part of the total.

    With an unknown total, 0, how much is done is shown without an end.
    """
    with click.progressbar(
        None if total else itertools.count(),
        length=total or None,
        label=label,
        show_pos=total == 0,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        update_min_steps=max(1, total // MAX_UPDATES),
    ) as bar:
        yield bar.update
        if total:
            bar.update(total - bar.pos)


def tracked(label: str, items: Collection[T]) -> Iterator[T]:
    """Yield the items, and show how many of them are done."""
    with progress(label, len(items)) as advance:
        for item in items:
            yield item
            advance(1)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that it leaves nothing half done."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
