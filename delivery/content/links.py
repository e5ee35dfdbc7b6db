"""The links of an alert, each with the name that its button has."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from delivery.alerts.alert import Alert
from delivery.guard.url import MAX_LINK_LENGTH, to_link
from delivery.installation import Installation

SOURCE = "Source"
RUNBOOK = "Runbook"
PANEL = "Panel"
DASHBOARD = "Dashboard"
SILENCE = "Silence in Grafana"
OPEN_IN_TOCSIN = "Open in Tocsin"
# The names of links, each with the names that it may have in `Alert.links` and annotations.
_NAMED = {
    RUNBOOK: ("runbook_url", "runbook"),
    PANEL: ("panel_url", "panel"),
    DASHBOARD: ("dashboard_url", "dashboard"),
    SILENCE: ("silence_url", "silence"),
}
LINK_ANNOTATIONS = frozenset(name for names in _NAMED.values() for name in names)
_HAS_SCHEME = re.compile(r"\s*https?://", re.IGNORECASE)


class Link(NamedTuple):
    """A link: what it is, and its URL.

    The URL is ASCII without blanks, quotes and parentheses, so that it can stand in any markup.
    """

    name: str
    url: str


def links_of(alert: Alert, installation: Installation, is_test: bool) -> list[Link]:
    """Return the links of an alert in the order of their use, each URL once.

    The first one shows the alert at its source: there, or in its panel or dashboard. The URL of a
    test leads to Tocsin, where no alert of a test is stored.
    """
    links = {SOURCE: to_link(alert.url)}
    for name in _NAMED:
        links[name] = find_link(alert, name)
    links[OPEN_IN_TOCSIN] = installation.alert_url(alert.id)
    if is_test:
        links[OPEN_IN_TOCSIN] = links.pop(SOURCE)
    elif links[SOURCE] in (links[PANEL], links[DASHBOARD]):
        del links[SOURCE]  # the other name says more
    first = next((name for name in (SOURCE, PANEL, DASHBOARD) if links.get(name)), "")
    if first:
        links = {first: links[first], **links}
    names = {url: name for name, url in reversed(links.items()) if url}
    return [Link(name, url) for name, url in links.items() if names.get(url) == name]


def links_that_fit(links: list[Link], room: int) -> list[Link]:
    """Return the links whose URLs fit into this length together; a long one displaces no other."""
    fitting = []
    for link in links:
        if len(link.url) <= room:
            room -= len(link.url)
            fitting.append(link)
    return fitting


def find_link(alert: Alert, name: str) -> str:
    """Return the valid link with this name: of the source, else of the annotations, else empty."""
    texts: list[Mapping[str, str]] = [alert.links, alert.annotations]
    found = (to_link(source.get(key, "")) for source in texts for key in _NAMED[name])
    return next(filter(None, found), "")


def texts_without_link(alert: Alert) -> dict[str, str]:
    """Return the texts that stand where a link is expected and are none, by their names."""
    texts = {name: alert.annotations.get(name, "") for name in sorted(LINK_ANNOTATIONS)}
    texts["link"] = alert.url
    return {name: text for name, text in texts.items() if _is_no_link(text)}


def _is_no_link(text: str) -> bool:
    """Return True for a text that is no URL.

    A URL with credentials is not for everyone, and one that is too long is wrong when it is cut.
    """
    if _HAS_SCHEME.match(text) and ("@" in text or len(text) > MAX_LINK_LENGTH):
        return False
    return bool(text) and not to_link(text)
