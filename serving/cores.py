"""Bind a process to one core: this pays only where Tocsin has the cores for itself."""

import os


def pin_to_core(number: int) -> None:
    """Bind this process to one of its cores; processes with successive numbers share them out."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[number % len(cores)]})
