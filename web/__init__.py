"""The side that people talk to: one blueprint a file, and in `words.toml` what failures say and choices are called."""

import tomllib
from pathlib import Path

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
