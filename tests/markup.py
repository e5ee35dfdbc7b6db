"""What every page must keep: unique ids, a label for each input, a target for each htmx action, nothing inline."""

import re
from html.parser import HTMLParser

_LABELLED = ("input", "select", "textarea")
_UNLABELLED = ("hidden", "submit", "checkbox")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.labels, self.inputs, self.pointers, self.problems = [], set(), [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label" and "for" in given:
            self.labels.add(given["for"])
        if tag in _LABELLED and given.get("type") not in _UNLABELLED:
            self.inputs.append(given.get("id"))
        self.pointers += [
            given[name].removeprefix("#") for name in ("hx-target", "hx-indicator") if name in given
        ]
        self.pointers += given.get("aria-describedby", "").split()
        self.problems += [
            name for name, _ in attrs if name.startswith(("on", "hx-on")) or name == "style"
        ]


def check_markup(html: str) -> None:
    """Fails on a page that breaks one of these rules."""
    page = _Page()
    page.feed(html)
    twice = {one for one in page.ids if page.ids.count(one) > 1}
    assert not twice, f"ids that stand twice: {twice}"
    assert not [one for one in page.inputs if one not in page.labels], (
        f"inputs without a label: {page.inputs}"
    )
    missing = [pointer for pointer in page.pointers if pointer not in page.ids]
    assert not missing, f"nothing has the id that something points to: {missing}"
    assert not page.problems, f"inline code or style: {page.problems}"


def token_in(html: str) -> str:
    """The CSRF token of a page."""
    return re.search(r'name="csrf_token" value="([^"]+)"', html)[1]
