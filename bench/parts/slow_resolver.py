"""Run `tocsin worker` with a resolver of its own: every name is on the loopback interface.

A lookup takes 100 ms; the name server of `dead-….test` never responds.
"""

import signal
import socket
import sys
import time

import cli

LOOKUP_SECONDS = 0.1
HANG_SECONDS = 20.0  # as long as glibc tries two name servers twice
MAX_LIFETIME = 300  # seconds


def getaddrinfo(host: str, port: int | None, *_args, **_options) -> list[tuple]:
    """Return the loopback address after the time that the name server needs."""
    if host.startswith("dead-"):
        time.sleep(HANG_SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "no response")
    time.sleep(LOOKUP_SECONDS)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


if __name__ == "__main__":
    signal.alarm(MAX_LIFETIME)
    socket.getaddrinfo = getaddrinfo
    sys.exit(cli.main(["worker"]))
