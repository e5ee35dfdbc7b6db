"""Locks on files, shared by every process of an installation."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[int]:
    """Hold a lock on a file, or on a folder itself, and yield its descriptor.

    The lock is exclusive, unless it is shared with others that ask for a shared one. A missing
    file is created, readable by its owner alone. The lock ends with the block, or with the
    process.

    Raises:
        BlockingIOError: another process or thread holds such a lock, and `wait` is false.
        OSError: the file cannot be opened or locked.
    """
    create = 0 if path.is_dir() else os.O_CREAT
    descriptor = os.open(path, os.O_RDONLY | create, 0o600)
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, operation | (0 if wait else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)
