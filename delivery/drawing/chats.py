"""Draw the messages of Slack, Discord, Mattermost, Telegram and Google Chat."""

from dataclasses import replace
from itertools import groupby

from delivery.drawing import lines, markup
from delivery.drawing.json_part import Part
from delivery.drawing.lines import read_lines
from delivery.drawing.markup import NO_STYLE, Inline, styled
from delivery.drawing.model import (
    Block,
    Drawing,
    Family,
    Shape,
    Spans,
    Viewer,
    block,
    buttons,
    nearest_color,
    plain,
    rows,
)
from delivery.drawing.tags import read_tag_blocks, read_tags

SILENT = "Arrives without a sound."
_SUPPRESS_NOTIFICATIONS = 1 << 12
_NO_MARKUP: Spans = ()
_BOLD = styled(NO_STYLE, "bold")


def text_of(blocks: list[Block]) -> str:
    """Return the text of blocks as a notification shows it."""
    return "\n".join(one.text for one in blocks)


# --- Slack ---


def draw_slack(body: Part, viewer: Viewer) -> Drawing | None:
    """Draw the message; there is none if a workflow decides what it is."""
    inline = Inline(markup.MRKDWN, viewer)
    attachments = body.parts("attachments")
    if not body.text("text"):
        return None
    push = _mrkdwn(body.text("text"), inline)
    lead = [one for part in body.parts("blocks") for one in _slack_block(part, inline)]
    blocks = []
    for part in attachments:
        blocks += _slack_attachment(part, inline)
    return Drawing(
        Family.CARD,
        "Your app",
        push_text=text_of(push),
        color=next((nearest_color(part.text("color")) for part in attachments), ""),
        lead=tuple(lead or push),
        blocks=tuple(blocks),
    )


def _mrkdwn(text: str, inline: Inline) -> list[Block]:
    if "```" in text:
        return block(Shape.TEXT, inline.read(text))
    return read_lines(text, lines.SLACK, inline)


def _slack_attachment(part: Part, inline: Inline) -> list[Block]:
    blocks = block(Shape.HEADING, _slack_title(part, inline)) + _mrkdwn(part.text("text"), inline)
    cells = []
    for field in part.parts("fields"):
        cells.append((inline.read(field.text("title")), inline.read(field.text("value"))))
    blocks += rows(Shape.GRID, cells)
    for one in part.parts("blocks"):
        blocks += _slack_block(one, inline)
    return blocks + block(Shape.NOTE, inline.read(part.text("footer")))


def _slack_title(part: Part, inline: Inline) -> Spans:
    link = part.text("title_link")
    title = inline.read(part.text("title"))
    return tuple(replace(span, link=link or span.link) for span in title)


def _slack_block(part: Part, inline: Inline) -> list[Block]:
    kind = part.text("type")
    if kind == "header":
        return block(Shape.HEADING, _slack_text(part.part("text"), inline))
    if kind == "context":
        spans = [_slack_text(element, inline) for element in part.parts("elements")]
        return block(Shape.NOTE, tuple(span for found in spans for span in found))
    if kind == "actions":
        found = part.parts("elements")
        return buttons((one.part("text").text("text"), one.text("url")) for one in found)
    if kind != "section":
        return []
    text = part.part("text")
    blocks = block(Shape.TEXT, _slack_text(text, inline))
    if text.text("type") == "mrkdwn":
        blocks = _mrkdwn(text.text("text"), inline)
    cells = [(_NO_MARKUP, _slack_text(field, inline)) for field in part.parts("fields")]
    return blocks + rows(Shape.GRID, cells)


def _slack_text(part: Part, inline: Inline) -> Spans:
    text = part.text("text")
    return inline.read(text) if part.text("type") == "mrkdwn" else plain(text)


# --- Discord ---


def draw_discord(body: Part, viewer: Viewer) -> Drawing:
    """Draw the message with its embeds."""
    inline = Inline(markup.DISCORD, viewer)
    content = read_lines(body.text("content"), lines.DISCORD, inline)
    embeds = body.parts("embeds")
    blocks = [one for embed in embeds for one in _embed(embed, inline)]
    return Drawing(
        Family.CARD,
        body.text("username") or "Your webhook",
        push_text=text_of(content),
        color=next((nearest_color(embed.number("color")) for embed in embeds), ""),
        lead=tuple(content),
        blocks=tuple(blocks),
        note=SILENT if (body.number("flags") or 0) & _SUPPRESS_NOTIFICATIONS else "",
    )


def _embed(embed: Part, inline: Inline) -> list[Block]:
    title = inline.read(embed.text("title"), _BOLD)
    blocks = block(Shape.HEADING, tuple(replace(span, link=embed.text("url")) for span in title))
    blocks += read_lines(embed.text("description"), lines.DISCORD, inline)
    cells = []
    for field in embed.parts("fields"):
        name = inline.read(field.text("name"), _BOLD)
        cells.append((field.is_true("inline"), name, inline.read(field.text("value"))))
    blocks += _fields(cells)
    return blocks + block(Shape.NOTE, _embed_footer(embed, inline.viewer))


def _fields(fields: list[tuple[bool, Spans, Spans]]) -> list[Block]:
    """Return the fields: short ones beside each other, and each other one over the whole width."""
    blocks = []
    for is_short, same in groupby(fields, lambda field: field[0]):
        cells = [(name, value) for _, name, value in same]
        groups = [cells] if is_short else [[cell] for cell in cells]
        for group in groups:
            blocks += rows(Shape.GRID, group)
    return blocks


def _embed_footer(embed: Part, viewer: Viewer) -> Spans:
    footer = plain(embed.part("footer").text("text"))
    time = viewer.read(embed.text("timestamp"))
    separator = plain(" • ") if footer and time else ()
    return footer + separator + plain(time, "time")


# --- Mattermost ---


def draw_mattermost(body: Part, viewer: Viewer) -> Drawing:
    """Draw the post with its attachments."""
    inline = Inline(markup.MATTERMOST, viewer)
    attachments = body.parts("attachments")
    lead = read_lines(body.text("text"), lines.MARKDOWN, inline)
    blocks = []
    for part in attachments:
        blocks += _mattermost_attachment(part, inline)
    return Drawing(
        Family.CARD,
        body.text("username") or "Your webhook",
        push_text=text_of(lead),
        color=next((nearest_color(part.text("color")) for part in attachments), ""),
        lead=tuple(lead),
        blocks=tuple(blocks),
    )


def _mattermost_attachment(part: Part, inline: Inline) -> list[Block]:
    blocks = read_lines(part.text("pretext"), lines.MARKDOWN, inline)
    blocks += block(Shape.HEADING, plain(part.text("title"), "bold", link=part.text("title_link")))
    blocks += read_lines(part.text("text"), lines.MARKDOWN, inline)
    cells = []
    for field in part.parts("fields"):
        name = plain(field.text("title"), "bold")
        cells.append((field.is_true("short"), name, inline.read(field.text("value"))))
    blocks += _fields(cells)
    return blocks + block(Shape.NOTE, plain(part.text("footer")))


# --- Telegram ---


def draw_telegram(body: Part, viewer: Viewer) -> Drawing:
    """Draw the message of a bot."""
    blocks = block(Shape.TEXT, plain(body.text("text")))
    if body.text("parse_mode").upper() == "HTML":
        blocks = read_tag_blocks(body.text("text"), Inline(markup.TELEGRAM, viewer))
    return Drawing(
        Family.CARD,
        "Your bot",
        push_text=text_of(blocks),
        blocks=tuple(blocks),
        note=SILENT if body.is_true("disable_notification") else "",
    )


# --- Google Chat ---


def draw_googlechat(body: Part, viewer: Viewer) -> Drawing:
    """Draw the text and the cards below it."""
    lead = block(Shape.TEXT, Inline(markup.CHAT_TEXT, viewer).read(body.text("text")))
    blocks = []
    for part in body.parts("cardsV2"):
        blocks += _chat_card(part.part("card"), Inline(markup.PLAIN, viewer))
    return Drawing(
        Family.CARD,
        "Your app",
        push_text=text_of(lead),
        lead=tuple(lead),
        blocks=tuple(blocks),
    )


def _chat_card(card: Part, inline: Inline) -> list[Block]:
    header = card.part("header")
    blocks = block(Shape.HEADING, plain(header.text("title"), "bold"))
    blocks += block(Shape.NOTE, plain(header.text("subtitle")))
    for section in card.parts("sections"):
        blocks += block(Shape.TEXT, plain(section.text("header"), "bold"))
        for widget in section.parts("widgets"):
            blocks += _widget(widget, inline)
    return blocks


def _widget(widget: Part, inline: Inline) -> list[Block]:
    blocks = block(Shape.TEXT, read_tags(widget.part("textParagraph").text("text"), inline))
    fact = widget.part("decoratedText")
    cell = plain(fact.text("topLabel")), read_tags(fact.text("text"), inline)
    blocks += rows(Shape.GRID, [cell]) + block(Shape.NOTE, plain(fact.text("bottomLabel")))
    found = []
    for button in widget.part("buttonList").parts("buttons"):
        found.append((button.text("text"), button.part("onClick").part("openLink").text("url")))
    return blocks + buttons(found)
