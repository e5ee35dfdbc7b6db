"""Rules for the markup of every page.

Ids are unique, each input has a label, each reference has its target, and nothing is inline.
"""

import re
from html.parser import HTMLParser

_LABELED = ("input", "select", "textarea")
_UNLABELED = ("hidden", "submit", "checkbox")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids = []
        self.labels = set()
        self.inputs = []
        self.references = []
        self.inline = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "label" and "for" in attributes:
            self.labels.add(attributes["for"])
        if tag in _LABELED and attributes.get("type") not in _UNLABELED:
            self.inputs.append(attributes.get("id"))
        self.references += [
            attributes[name].removeprefix("#")
            for name in ("hx-target", "hx-indicator")
            if name in attributes
        ]
        self.references += attributes.get("aria-describedby", "").split()
        self.inline += [
            name for name, _ in attrs if name.startswith(("on", "hx-on")) or name == "style"
        ]


def check_markup(html: str) -> None:
    """Check that a page follows the rules."""
    page = _Page()
    page.feed(html)
    duplicates = {name for name in page.ids if page.ids.count(name) > 1}
    assert not duplicates, f"duplicate ids: {duplicates}"
    unlabeled = [name for name in page.inputs if name not in page.labels]
    assert not unlabeled, f"inputs without a label: {unlabeled}"
    missing = [name for name in page.references if name not in page.ids]
    assert not missing, f"references to ids that do not exist: {missing}"
    assert not page.inline, f"inline code or style: {page.inline}"


def token_in(html: str) -> str:
    """Return the CSRF token of a page."""
    return re.search(r'name="csrf_token" value="([^"]+)"', html)[1]
