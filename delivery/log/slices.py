"""Search for rows that no index finds: read them in slices, until a page is full or time is up."""

import time
from collections.abc import Callable
from typing import TypeVar

SLICE = 200  # rows
MAX_SECONDS = 0.015  # before the last slice

Place = TypeVar("Place")


def search_slices(
    read: Callable[[Place, int], list[Place]],
    accept: Callable[[list[Place]], list[Place]],
    before: Place,
    size: int,
) -> tuple[list[Place], Place | None]:
    """Return accepted rows after a place in a list, and the last one that was read.

    `read` returns as many rows after a place as there are, up to a number. More than `size` rows
    fill a page. The last row is None at the end of the list.
    """
    deadline = time.monotonic() + MAX_SECONDS
    found: list[Place] = []
    while True:
        rows = read(before, SLICE)
        found += accept(rows)
        if len(rows) < SLICE:
            return found, None
        before = rows[-1]
        if len(found) > size or time.monotonic() >= deadline:
            return found, before
