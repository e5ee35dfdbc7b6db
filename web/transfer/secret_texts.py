"""Secrets in files of channels: how they are written, and what a text stands for.

- `keep`, or `keep:FINGERPRINT` and a comment: the secret that is stored, which the fingerprint
  must still describe;
- `env:NAME` and `file:/path`: an environment variable, or a file;
- `text:…`: the rest, for a secret that begins like one of these;
- anything else: the secret itself.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

KEEP = "keep"
_FORM = re.compile(r"(?:(keep)(?::([0-9a-f]{8})(?: .*)?)?|(env|file|text):(.*))", re.DOTALL)
# Returns the secret of a source (`env` or `file`) and its name; raises ValueError.
Resolver = Callable[[str, str], str]


class SecretText(NamedTuple):
    """A secret in a file: its source (empty: the value itself), and the rest of the text.

    The rest of `keep` is the fingerprint, empty without one.
    """

    source: str
    value: str


def parse_secret(text: str) -> SecretText:
    """Return what a text in a file stands for."""
    match = _FORM.fullmatch(text)
    if not match:
        return SecretText("", text)
    if match[1]:
        return SecretText(KEEP, match[2] or "")
    if match[3] == "text":
        return SecretText("", match[4])
    return SecretText(match[3], match[4].strip())


def literal(secret: str) -> str:
    """Return the text that stands for a secret itself."""
    return f"text:{secret}" if _FORM.fullmatch(secret) else secret
