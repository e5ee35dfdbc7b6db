"""The processes of a running server, as the system shows them."""

import contextlib
import sys
import time
from pathlib import Path

# As systemd does: the socket is descriptor 3 of the process that LISTEN_PID names.
_GIVE_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def with_socket(listener, *program):
    """Return the command that starts a program with a listening socket, which it inherits."""
    return (sys.executable, "-c", _GIVE_SOCKET, str(listener.fileno()), *program)


def children_of(pid):
    """Return the ids of the children of a process."""
    with contextlib.suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


def family(pid):
    """Return the ids of a process and its descendants, whichever thread started them."""
    pids = [pid]
    for number in pids:
        for children in Path(f"/proc/{number}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids += map(int, children.read_text().split())
    return pids


def command_of(pid):
    """Return the command line of a process, empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def workers_of(*pids):
    """Return the ids of the worker processes below some processes."""
    found = []
    for pid in pids:
        found += [number for number in family(pid) if b"\0worker\0--lock" in command_of(number)]
    return found


def wait_until(condition, seconds=10.0):
    """Return the first true value of a condition; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")
