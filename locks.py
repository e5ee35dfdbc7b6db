"""Exclusive locks on files, shared by every process of an installation."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold an exclusive lock on a file, or on a folder itself, and yield its descriptor.

    A missing file is created, readable by its owner alone. The lock ends with the block, or with
    the process.

    Raises:
        BlockingIOError: another process or thread holds the lock, and `wait` is false.
        OSError: the file cannot be opened or locked.
    """
    create = 0 if path.is_dir() else os.O_CREAT
    descriptor = os.open(path, os.O_RDONLY | create, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)
