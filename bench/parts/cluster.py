"""A server of PostgreSQL for a benchmark."""

import contextlib
from collections.abc import Iterator

import pytest
from databases import Cluster, programs, running_cluster

__all__ = ["Cluster", "cluster", "is_installed"]


def is_installed() -> bool:
    """Return False, and print why, on a machine without PostgreSQL."""
    try:
        programs()
    except pytest.skip.Exception as reason:
        print(reason)
        return False
    return True


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server that does not wait for the disk, and delete it afterwards."""
    yield from running_cluster()
