"""CPU time and memory of processes and their descendants, from `/proc`."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from processes import family

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes and all their descendants, ended ones included."""
    ticks = 0
    for pid in pids:
        for member in family(pid):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return ticks / _TICKS


def pss_megabytes(pid: int) -> float:
    """Return the memory of a process and its descendants, shared pages counted once (PSS)."""
    kilobytes = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
            found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
            kilobytes += int(found[1]) if found else 0
    return kilobytes / 1024
