"""What the bench scripts share: a running Tocsin, a lean browser, a receiver in its own process, printed figures.

Whoever imports a part can import what is Tocsin's own and what its tests share, too.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
