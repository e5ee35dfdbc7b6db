"""Helpers that build the URL that a kind requests."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from delivery.guard.url import ParsedUrl


def with_path(url: ParsedUrl, path: str, present: str = "") -> ParsedUrl:
    """Append `path` to the URL's own path unless that already ends with it.

    `present` is a pattern of other endings that stay as they are.
    """
    own = url.path.rstrip("/")
    if not re.search(f"({present or re.escape(path)})$", own):
        own += path
    return replace(url, path=own)


def segment(text: str) -> str:
    """Quote the text as one segment of a path."""
    return quote(text, ":", errors="replace")


def with_query(url: ParsedUrl, values: Mapping[str, str]) -> ParsedUrl:
    """Set these values in the query; the rest of the query stays unchanged."""
    parts = [part for part in url.query.split("&") if part and part.split("=")[0] not in values]
    parts += [f"{name}={quote(value, '')}" for name, value in values.items()]
    return replace(url, query="&".join(parts))
