"""Texts of an alert in an Adaptive Card: runs, where no Markdown acts, and whose URLs are links."""

from delivery.content.links import to_link
from delivery.escaping import URL
from delivery.text import MARK

# In a text. Each of them needs a frame, for which there is room in no card without an end.
_MAX_LINES = 30
_MAX_URLS = 20


def lines_of(text: str) -> list[dict]:
    """Return a block for each line of a text, as clients show no line feeds in a block.

    A blank line sets the next one apart. The lines that are too many are on one line.
    """
    lines = text.split("\n", _MAX_LINES)
    lines[_MAX_LINES:] = [line.replace("\n", " ") for line in lines[_MAX_LINES:]]
    blocks: list[dict] = []
    max_urls = _MAX_URLS
    spacing: dict[str, str] = {}
    for line in lines:
        runs = _runs(line, max_urls)
        if runs:
            blocks.append({"type": "RichTextBlock", "inlines": runs, **spacing})
        max_urls -= sum("selectAction" in run for run in runs)
        spacing = {"spacing": "None"} if runs else {}
    return blocks


def _runs(line: str, max_urls: int) -> list[dict]:
    """Return the runs of a line, in which so many URLs can be followed; none of a blank line."""
    if not line.strip():
        return []
    parts = [line]
    if max_urls:
        parts = URL.split(line, maxsplit=max_urls)
    return [_run(part, is_url=number % 2 == 1) for number, part in enumerate(parts) if part]


def _run(text: str, is_url: bool) -> dict:
    run: dict = {"type": "TextRun", "text": text}
    url = to_link(text) if is_url and not text.endswith(MARK) else ""
    if url:
        run["selectAction"] = {"type": "Action.OpenUrl", "url": url}
    return run
