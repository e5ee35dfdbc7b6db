"""The pages, forms and endpoints: one blueprint per module."""

import tomllib
from pathlib import Path

# The labels of the channel form's choices.
WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
