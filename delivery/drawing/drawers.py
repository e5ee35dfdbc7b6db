"""The registry of drawers, one for each kind whose messages people see."""

from collections.abc import Callable, Mapping

from delivery.drawing import cards, chats, incidents, pushes
from delivery.drawing.json_part import Part
from delivery.drawing.model import Drawing, Viewer
from delivery.json_text import parse_or_none

DRAWERS: Mapping[str, Callable[[Part, Viewer], Drawing | None]] = {
    "dingtalk": cards.draw_dingtalk,
    "discord": chats.draw_discord,
    "feishu": cards.draw_feishu,
    "googlechat": chats.draw_googlechat,
    "gotify": pushes.draw_gotify,
    "mattermost": chats.draw_mattermost,
    "ntfy": pushes.draw_ntfy,
    "opsgenie": incidents.draw_opsgenie,
    "pagerduty": incidents.draw_pagerduty,
    "pushover": pushes.draw_pushover,
    "slack": chats.draw_slack,
    "teams": cards.draw_teams,
    "telegram": chats.draw_telegram,
    "wecom": cards.draw_wecom,
}


def draw(kind: str, body: str, viewer: Viewer, mask: Callable[[str], str] = str) -> Drawing | None:
    """Return the drawing of a body, whatever it is, without the secrets that `mask` hides.

    None for a kind without a drawer, and for a body that is not an object.
    """
    drawer = DRAWERS.get(kind)
    message = parse_or_none(body)
    if drawer is None or not isinstance(message, dict):
        return None
    return drawer(Part(message, mask), viewer)
