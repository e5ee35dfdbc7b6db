"""Bind processes to cores: this pays only where Tocsin has the cores for itself."""

import os

# As long as this process is not bound to one of them.
_CORES = sorted(os.sched_getaffinity(0))


def core_of(number: int) -> int:
    """Return the core for a process; processes with successive numbers share the cores out."""
    return _CORES[number % len(_CORES)]


def pin_to(core: int) -> None:
    """Bind this process to a core."""
    os.sched_setaffinity(0, {core})
