"""The one file: its size, whether two builds are the same, and the time to its first response."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parts import ROOT
from parts.figures import figure
from parts.tocsin import Live

STARTS = 5


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        first = build(Path(folder, "first", "tocsin.pyz"))
        second = build(Path(folder, "second", "tocsin.pyz"))
        is_same = first.read_bytes() == second.read_bytes()
        figure("size of tocsin.pyz", first.stat().st_size / 1e6, "MB", 25)
        figure("builds that differ from the first", not is_same, "", 0, places=0)
        cold = []
        warm = []
        for number in range(STARTS):
            cold.append(seconds_to_response(first, Path(folder, f"cold-{number}")))
            warm.append(seconds_to_response(first, Path(folder, f"cold-{number}")))
    for name, seconds in (("not unpacked, new data folder", cold), ("unpacked", warm)):
        figure(f"first response, {name}, median", statistics.median(seconds), "s", 1.5, places=2)
        figure(f"first response, {name}, longest", max(seconds), "s", 1.5, places=2)


def build(path: Path) -> Path:
    """Build the bundle as `make bundle` does, elsewhere."""
    subprocess.run([sys.executable, ROOT / "bundle" / "build.py", path], check=True)
    return path


def seconds_to_response(bundle: Path, folder: Path) -> float:
    """Return the time from the start of the bundle to the response of `/healthz`."""
    folder.mkdir(exist_ok=True)
    start = time.monotonic()
    live = type("Bundle", (Live,), {"program": (str(bundle),)})(folder, SHIV_ROOT=str(folder))
    try:
        live.ready()
        return time.monotonic() - start
    finally:
        live.stop()


if __name__ == "__main__":
    main()
