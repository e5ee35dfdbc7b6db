"""Draw the push notifications of ntfy, Gotify and Pushover."""

from delivery.drawing import lines, markup
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
)
from delivery.drawing.tags import read_tags

_RED = "red"
_NTFY = {
    1: ("gray", "Priority 1 of 5 (min): no sound, at the bottom of the list."),
    2: ("gray", "Priority 2 of 5 (low): no sound."),
    3: ("blue", "Priority 3 of 5 (default): a short sound."),
    4: ("orange", "Priority 4 of 5 (high): a long vibration."),
    5: (_RED, "Priority 5 of 5 (max): a long vibration, above all others."),
}
# ntfy shows these tags as emojis; the last part is the sign on our own picture of it.
_EMOJIS = {
    "rotating_light": ("🚨", _RED, "alarm"),
    "fire": ("🔥", "orange", "alarm"),
    "warning": ("⚠️", "yellow", "alarm"),
    "information_source": ("ℹ️", "blue", "info"),
    "white_check_mark": ("✅", "green", "check"),
    "heavy_check_mark": ("✔️", "green", "check"),
    "red_circle": ("🔴", _RED, "dot"),
    "orange_circle": ("🟠", "orange", "dot"),
    "yellow_circle": ("🟡", "yellow", "dot"),
    "blue_circle": ("🔵", "blue", "dot"),
    "green_circle": ("🟢", "green", "dot"),
}
_PUSHOVER = {
    -2: ("gray", "Priority −2 (lowest): no notification."),
    -1: ("gray", "Priority −1 (low): no sound."),
    0: ("blue", "Priority 0 (normal)."),
    1: (_RED, "Priority 1 (high): also in quiet hours."),
    2: (_RED, "Priority 2 (emergency): repeated until it is acknowledged."),
}


def draw_ntfy(body: Part, viewer: Viewer) -> Drawing:
    """Draw the notification with its tags and actions."""
    tags = body.texts("tags")
    emojis = [_emoji(*_EMOJIS[tag]) for tag in tags if tag in _EMOJIS]
    others = tuple(Span(tag) for tag in tags if tag not in _EMOJIS)
    color, note = _NTFY.get(body.number("priority") or 3, _NTFY[3])
    text = body.text("message")
    blocks = block(Shape.TEXT, Inline(markup.PLAIN, viewer).read(text)) + block(Shape.TAGS, others)
    if body.is_true("markdown"):
        blocks = read_lines(text, lines.MARKDOWN, Inline(markup.MATTERMOST, viewer))
    actions = [(action.text("label"), action.text("url")) for action in body.parts("actions")]
    title = (*emojis, *plain(body.text("title"), "bold"))
    return _push(title, text, color, blocks + buttons(actions), _opens(note, body.text("click")))


def _emoji(text: str, color: str, sign: str) -> Span:
    return Span(text, frozenset({"emoji", sign}), color=color)


def draw_gotify(body: Part, viewer: Viewer) -> Drawing:
    """Draw the message."""
    priority = body.number("priority") or 0
    color, note = _gotify_priority(priority)
    text = body.text("message")
    extras = body.part("extras")
    blocks = block(Shape.TEXT, Inline(markup.PLAIN, viewer).read(text))
    if extras.part("client::display").text("contentType") == "text/markdown":
        blocks = read_lines(text, lines.MARKDOWN, Inline(markup.MATTERMOST, viewer))
    url = extras.part("client::notification").part("click").text("url")
    note = f"Priority {priority} of 10: {note}"
    return _push(plain(body.text("title"), "bold"), text, color, blocks, _opens(note, url))


def _gotify_priority(priority: int) -> tuple[str, str]:
    if priority >= 8:
        return _RED, "a sound and a vibration."
    if priority >= 4:
        return ("orange" if priority >= 6 else "yellow"), "a sound."
    return ("blue" if priority >= 3 else "gray"), "no sound."


def draw_pushover(body: Part, viewer: Viewer) -> Drawing:
    """Draw the message with its link."""
    color, note = _PUSHOVER.get(body.number("priority") or 0, _PUSHOVER[0])
    if body.text("sound"):
        note += f" Sound: {body.text('sound')}."
    inline = Inline(markup.PLAIN, viewer)
    text = body.text("message")
    spans = read_tags(text, inline) if body.is_true("html") else inline.read(text)
    blocks = block(Shape.TEXT, spans)
    seconds = body.number("timestamp")
    if seconds is not None:
        blocks += block(Shape.NOTE, plain(viewer.show(seconds), "time"))
    url = body.text("url")
    blocks += buttons([(body.text("url_title") or url, url)])
    return _push(plain(body.text("title"), "bold"), text, color, blocks, note)


def _opens(note: str, url: str) -> str:
    return f"{note} A tap opens {url}" if url else note


def _push(title: Spans, text: str, color: str, blocks: list[Block], note: str) -> Drawing:
    blocks = block(Shape.HEADING, title) + blocks
    return Drawing(Family.PUSH, "", title, text, color, (), tuple(blocks), note)
