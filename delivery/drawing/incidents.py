"""Draw the incidents of PagerDuty and the alerts of Opsgenie."""

from delivery.drawing.json_part import Part
from delivery.drawing.markup import PLAIN, Inline
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

_SEVERITIES = {"critical": "red", "error": "orange", "warning": "yellow", "info": "blue"}
_PRIORITIES = {"P1": "red", "P2": "orange", "P3": "yellow", "P4": "green", "P5": "blue"}
_ACTIONS = {"resolve": "Resolved", "acknowledge": "Acknowledged"}
_FIELDS = {
    "source": "Source",
    "component": "Component",
    "group": "Group",
    "class": "Class",
}


def draw_pagerduty(body: Part, viewer: Viewer) -> Drawing:
    """Draw the incident that the event triggers or changes."""
    action = body.text("event_action")
    if action != "trigger":
        done = _ACTIONS.get(action, "Changed")
        text = f"{done} the incident with this key"
        return _change(done, text, body.text("dedup_key"), "")
    inline = Inline(PLAIN, viewer)
    payload = body.part("payload")
    summary = payload.text("summary")
    severity = payload.text("severity")
    blocks = _state("Triggered", severity) + block(Shape.HEADING, plain(summary, "bold"))
    cells = [(plain(label), plain(payload.text(name))) for name, label in _FIELDS.items()]
    cells.append((plain("Time"), plain(viewer.read(payload.text("timestamp")), "time")))
    blocks += _table(cells)
    blocks += _table(_details(payload.part("custom_details"), inline))
    links = [(link.text("text") or link.text("href"), link.text("href")) for link in _links(body)]
    if body.text("client"):
        links.append((f"View in {body.text('client')}", body.text("client_url")))
    blocks += buttons(links)
    color = _SEVERITIES.get(severity, "gray")
    return _incident(summary, "", color, blocks, f"Key: {body.text('dedup_key')}")


def _links(body: Part) -> list[Part]:
    return [link for link in body.parts("links") if link.text("href")]


def draw_opsgenie(body: Part, viewer: Viewer) -> Drawing:
    """Draw the alert, or the note that closes it."""
    message = body.text("message")
    if not message:
        return _change("Closed", body.text("note"), "", body.text("source"))
    inline = Inline(PLAIN, viewer)
    priority = body.text("priority")
    blocks = _state("Open", priority) + block(Shape.HEADING, plain(message, "bold"))
    blocks += block(Shape.TAGS, tuple(Span(tag) for tag in body.texts("tags")))
    cells = [(plain("Entity"), plain(body.text("entity")))]
    cells.append((plain("Source"), plain(body.text("source"))))
    blocks += _table(cells)
    blocks += block(Shape.TEXT, inline.read(body.text("description")))
    blocks += _table(_details(body.part("details"), inline))
    color = _PRIORITIES.get(priority, "gray")
    return _incident(message, "", color, blocks, f"Alias: {body.text('alias')}")


def _state(state: str, rank: str) -> list[Block]:
    return block(Shape.TAGS, (*plain(rank, "rank"), *plain(state)))


def _details(part: Part, inline: Inline) -> list[tuple[Spans, Spans]]:
    return [(plain(name), inline.read(text)) for name, text in part.items()]


def _table(cells: list[tuple[Spans, Spans]]) -> list[Block]:
    return rows(Shape.TABLE, [cell for cell in cells if cell[1]])


def _change(state: str, text: str, key: str, source: str) -> Drawing:
    blocks = _state(state, "") + block(Shape.HEADING, plain(text, "bold"))
    blocks += block(Shape.NOTE, plain(key, "code") or plain(source))
    return _incident(text, key, "green", blocks, "")


def _incident(title: str, text: str, color: str, blocks: list[Block], note: str) -> Drawing:
    return Drawing(Family.INCIDENT, "", plain(title, "bold"), text, color, (), tuple(blocks), note)
