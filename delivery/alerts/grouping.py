"""Groups of alerts: the labels that a channel groups by, and the key of a group. Pure."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache

MAX_LABELS = 10
MAX_NAME_LENGTH = 200
DEFAULT_GROUP_WAIT = 30  # seconds
MAX_GROUP_WAIT = 300
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f,\"'{}=~!`“”„‘’«»]+")


def parse_group_by(text: str) -> tuple[str, ...]:
    """Return the names of labels in a text, which are separated by commas or blanks.

    Raises:
        ValueError: the text is no list of label names; the message is a sentence for the form.
    """
    names = tuple(dict.fromkeys(filter(None, re.split(r"[\s,]+", text))))
    if len(names) > MAX_LABELS:
        raise ValueError(f"These are {len(names)} labels; at most {MAX_LABELS} are possible.")
    for name in names:
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
            raise ValueError(
                f"“{name[:20]}” is not the name of a label: enter names such as alertname, cluster."
            )
    return names


def read_group_by(text: str) -> tuple[str, ...]:
    """Return the names of labels in a stored text; none if it is damaged."""
    try:
        return parse_group_by(text)
    except ValueError:
        return ()


def group_key(names: Collection[str], labels: Mapping[str, str]) -> str:
    """Return the key of the group that these labels belong to; empty without names.

    An absent label counts as an empty one. The key is stable: vendors know the group by it.
    """
    if not names:
        return ""
    return _hash(tuple((name, labels.get(name, "")) for name in sorted(names)))


@lru_cache(maxsize=1024)
def _hash(pairs: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps(dict(pairs)).encode()).hexdigest()[:24]
