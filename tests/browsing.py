"""A page in Chromium as a person has it: htmx from the vendored file under the CDN's address, and nothing else from outside."""

import itertools
import re
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"
HTMX = VENDOR / "htmx-4.0.1.min.js"
AXE = (VENDOR / "axe-4.14.1.min.js").read_text()
EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
_numbers = itertools.count(1)


def fresh_name() -> str:
    """A name that no other channel of this run has."""
    return f"Browser {next(_numbers)}"


def open_page(
    chromium, live, *, person=True, cdn=True, javascript=True, width=1280, scheme="light"
):
    """A page of its own context, signed in unless `person` says otherwise.

    What it complains about is in `page.complaints`, what it asked of others in `page.foreign`.
    """
    viewport = {"width": width, "height": 900}
    context = chromium.new_context(
        viewport=viewport, color_scheme=scheme, java_script_enabled=javascript
    )
    if person:
        context.add_cookies(
            [{"name": one.name, "value": one.value, "url": live.url} for one in live.person.cookies]
        )
    page = context.new_page()
    page.complaints, page.foreign = [], []
    page.on(
        "console",
        lambda message: (
            _complain(page, message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: _outside(page, route, cdn))
    return page


def _complain(page, text):
    if not EXPECTED.search(text):
        page.complaints.append(text)


def _outside(page, route, cdn):
    if route.request.url == "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js" and cdn:
        open_to_all = {"access-control-allow-origin": "*"}
        route.fulfill(path=HTMX, content_type="text/javascript", headers=open_to_all)
    else:
        page.foreign.append(route.request.url)
        route.abort()


def fill(page, url, name=None, **fields):
    """Types a channel into the form; its name."""
    name = name or fresh_name()
    page.fill("#name", name)
    page.fill("#url", url)
    for field, value in fields.items():
        page.fill(f"#{field}", value)
    return name


def violations(page) -> list[str]:
    """What axe finds wrong with the page, a line each."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']]}" for one in found
    ]
