"""Gotify's `POST /message`."""

from delivery.content.alert_text import AlertText
from delivery.content.layout import Markup, lay_out
from delivery.kinds.spec import Kind, Option, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import judge_by_body, judge_by_member

# Gotify documents no limit; these keep a message readable.
_MAX_TITLE = 250
_MAX_MESSAGE = 8000
_PRIORITIES = {"critical": 8, "error": 7, "warning": 5, "info": 3, "closed": 2}


def body(alert: AlertText) -> dict:
    """Return the message, which opens the first link when tapped."""
    title = alert.title_within(_MAX_TITLE)
    extras: dict[str, dict] = {"client::display": {"contentType": "text/plain"}}
    if alert.link:
        extras["client::notification"] = {"click": {"url": alert.link}}
    return {
        "title": title,
        "message": lay_out(alert, Markup(), _MAX_MESSAGE, links=alert.links) or title,
        "priority": _PRIORITIES[alert.level],
        "extras": extras,
    }


KIND = Kind(
    name="gotify",
    label="Gotify",
    help="Sends push notifications through your own Gotify server.",
    url_help="The server's URL, such as https://gotify.example.com. Tocsin appends /message.",
    docs="https://gotify.net/docs/pushmsg",
    path="/message",
    options=(
        Option(
            "app_token",
            "Application token",
            "The token of an application, not of a client.",
            required=True,
            secret=True,
            pattern="A.{14}",
            header="X-Gotify-Key",
        ),
        TIME_ZONE,
    ),
    url_patterns=(
        UrlPattern(r"(?P<base>(/[^/]+)*)/message", query={"token": "app_token"}, origin_only=True),
    ),
    body=body,
    judge=judge_by_body(judge_by_member("id", "error", "errorDescription")),
)
