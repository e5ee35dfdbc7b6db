"""Draw the cards of Teams and Feishu, and the Markdown of DingTalk and WeCom."""

from delivery.drawing import lines, markup
from delivery.drawing.chats import text_of
from delivery.drawing.json_part import Part
from delivery.drawing.lines import read_lines
from delivery.drawing.markup import Inline
from delivery.drawing.model import (
    Block,
    Drawing,
    Family,
    Shape,
    Span,
    Spans,
    Viewer,
    block,
    buttons,
    plain,
    rows,
)

_MAX_DEPTH = 5

# --- Teams ---

_TEAMS_COLORS = {
    "attention": "red",
    "warning": "yellow",
    "accent": "blue",
    "good": "green",
}
_BIG = {"medium", "large", "extralarge"}


def draw_teams(body: Part, viewer: Viewer) -> Drawing:
    """Draw the Adaptive Cards of the message."""
    inline = Inline(markup.TEAMS, viewer)
    cards = [part.part("content") for part in body.parts("attachments")]
    blocks = []
    for card in cards:
        blocks += _teams_items(card.parts("body"), inline)
        blocks += _teams_actions(card)
    return Drawing(
        Family.CARD,
        "Workflows",
        push_text=body.text("summary"),
        color=blocks[0].spans[0].color if blocks and blocks[0].spans else "",
        blocks=tuple(blocks),
    )


def _teams_items(items: list[Part], inline: Inline, depth: int = 0) -> list[Block]:
    blocks: list[Block] = []
    for item in items if depth < _MAX_DEPTH else []:
        found = _teams_item(item, inline)
        if item.text("spacing").lower() == "none" and blocks and found:
            found[0] = _below(blocks.pop(), found[0])
        blocks += found
        for name in ("items", "columns"):
            blocks += _teams_items(item.parts(name), inline, depth + 1)
    return blocks


def _below(above: Block, below: Block) -> Block:
    """Return two blocks without a space between them as one."""
    newline = (Span("\n"),) if above.spans and below.spans else ()
    return Block(above.shape, above.spans + newline + below.spans, above.rows + below.rows)


def _teams_item(item: Part, inline: Inline) -> list[Block]:
    kind = item.text("type")
    if kind == "TextBlock":
        return _text_block(item, inline)
    if kind == "RichTextBlock":
        runs = item.parts("inlines")
        big = any(run.text("size").lower() in _BIG for run in runs)
        spans = [_text_run(run) for run in runs]
        return block(Shape.HEADING if big else Shape.TEXT, tuple(spans))
    if kind == "ActionSet":
        return _teams_actions(item)
    cells = []
    for fact in item.parts("facts"):
        cells.append((inline.read(fact.text("title")), inline.read(fact.text("value"))))
    return rows(Shape.TABLE, cells)


def _text_block(item: Part, inline: Inline) -> list[Block]:
    if item.text("size").lower() not in _BIG:
        if item.is_true("isSubtle"):
            return block(Shape.NOTE, inline.read(item.text("text")))
        return read_lines(item.text("text"), lines.TEAMS, inline)
    return block(Shape.HEADING, inline.read(item.text("text"), Span("", *_look(item))))


def _text_run(run: Part) -> Span:
    if isinstance(run.value, str):
        return Span(run.string())
    styles, link, color = _look(run)
    return Span(run.text("text"), styles, link, color)


def _look(part: Part) -> tuple[frozenset[str], str, str]:
    """Return the styles, the link and the color of a text."""
    styles = {name for name in ("italic", "strikethrough", "underline") if part.is_true(name)}
    if part.text("weight").lower() == "bolder":
        styles.add("bold")
    if part.text("fontType").lower() == "monospace":
        styles.add("code")
    color = _TEAMS_COLORS.get(part.text("color").lower(), "")
    if part.is_true("isSubtle"):
        color = color or "gray"
    return frozenset(styles), part.part("selectAction").text("url"), color


def _teams_actions(part: Part) -> list[Block]:
    return buttons((action.text("title"), action.text("url")) for action in part.parts("actions"))


# --- Feishu and Lark ---

_TEMPLATES = {
    "red": "red",
    "carmine": "red",
    "orange": "orange",
    "yellow": "yellow",
    "blue": "blue",
    "wathet": "blue",
    "indigo": "blue",
    "green": "green",
    "turquoise": "green",
}


def draw_feishu(body: Part, viewer: Viewer) -> Drawing:
    """Draw the card of a custom bot."""
    inline = Inline(markup.LARK, viewer)
    card = body.part("card")
    header = card.part("header")
    title = header.part("title").text("content")
    blocks = block(Shape.HEADING, plain(title, "bold"))
    for element in card.parts("elements"):
        blocks += _lark_element(element, inline)
    return Drawing(
        Family.CARD,
        "Custom bot",
        push_text=title,
        color=_TEMPLATES.get(header.text("template"), "gray"),
        blocks=tuple(blocks),
    )


def _lark_element(element: Part, inline: Inline) -> list[Block]:
    tag = element.text("tag")
    if tag == "markdown":
        return block(Shape.TEXT, inline.read(element.text("content")))
    if tag == "note":
        notes = [_lark_text(part, inline) for part in element.parts("elements")]
        return block(Shape.NOTE, tuple(span for spans in notes for span in spans))
    if tag == "action":
        found = element.parts("actions")
        return buttons((one.part("text").text("content"), one.text("url")) for one in found)
    cells = [((), _lark_text(field.part("text"), inline)) for field in element.parts("fields")]
    return block(Shape.TEXT, _lark_text(element.part("text"), inline)) + rows(Shape.GRID, cells)


def _lark_text(part: Part, inline: Inline) -> Spans:
    text = part.text("content")
    return inline.read(text) if part.text("tag") == "lark_md" else plain(text)


# --- DingTalk and WeCom ---


def draw_dingtalk(body: Part, viewer: Viewer) -> Drawing:
    """Draw the Markdown of a robot, whose line breaks need an empty line or two blanks."""
    message = body.part("markdown")
    inline = Inline(markup.DINGTALK, viewer)
    blocks = read_lines(message.text("text"), lines.MARKDOWN, inline, joins_lines=True)
    return Drawing(Family.CARD, "Robot", push_text=message.text("title"), blocks=tuple(blocks))


def draw_wecom(body: Part, viewer: Viewer) -> Drawing:
    """Draw the Markdown of a group robot."""
    content = body.part("markdown").text("content")
    blocks = read_lines(content, lines.WECOM, Inline(markup.WECOM, viewer))
    return Drawing(Family.CARD, "Robot", push_text=text_of(blocks), blocks=tuple(blocks))
