"""JSON on lines of its own for each member, otherwise exactly as it was received."""

import re

from delivery.json_text import JsonError, check_json

_PIECE = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+)', re.DOTALL)
_INDENT = "  "


def lay_out(text: str) -> str:
    """Return a JSON document with line breaks and indents; empty if the text is none.

    Numbers and strings stay as they are.
    """
    try:
        check_json(text)
    except JsonError:
        return ""
    pieces = []
    depth = 0
    before = ""
    for piece in _PIECE.findall(text):
        closes = piece in ("]", "}")
        depth -= closes
        opened = before in ("[", "{")
        if before == "," or opened != closes:  # an empty list stays on its line
            pieces.append("\n" + _INDENT * depth)
        pieces.append(piece)
        if piece == ":":
            pieces.append(" ")
        depth += piece in ("[", "{")
        before = piece
    return "".join(pieces)
