"""Build the URL that a kind requests."""

import re
from dataclasses import replace
from urllib.parse import quote

from delivery.guard.url import ParsedUrl


def with_path(target: ParsedUrl, path: str, done: str = "") -> ParsedUrl:
    """The target with `path` behind its own, unless it ends so already (or as `done` says): a bare base URL is completed."""
    own = target.path.rstrip("/")
    return replace(
        target, path=own if re.search(f"({done or re.escape(path)})$", own) else own + path
    )


def segment(text: str) -> str:
    """The text as one segment of a path."""
    return quote(text, ":", errors="replace")


def with_query(target: ParsedUrl, **values: str) -> ParsedUrl:
    """The target with these values in its query, each once; the rest of the query stays to the letter."""
    kept = [
        part for part in target.query.split("&") if part and part.partition("=")[0] not in values
    ]
    return replace(
        target,
        query="&".join([*kept, *(f"{name}={quote(value, '')}" for name, value in values.items())]),
    )
