"""Shared by the benchmarks: a running Tocsin, a minimal client, a receiver, printed figures.

Importing this package makes Tocsin's modules and the helpers of its tests importable.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
