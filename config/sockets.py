"""The listening socket that systemd, or this program before a restart, hands over.

The protocol is that of systemd: sd_listen_fds(3).
"""

import os

FIRST_DESCRIPTOR = 3


def take_socket() -> int | None:
    """Return the descriptor of the socket; its variables do not reach other processes."""
    process = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or count in ("", "0"):
        return None
    return FIRST_DESCRIPTOR


def give_socket(descriptor: int) -> None:
    """Keep a socket open for the program that this process executes next."""
    os.dup2(descriptor, FIRST_DESCRIPTOR)
    os.set_inheritable(FIRST_DESCRIPTOR, True)  # dup2 does nothing if it is the same
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = "1"
