"""Open pages in Chromium.

htmx is served from the vendored file under its CDN address; other external requests are blocked.
"""

import itertools
import re
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"
HTMX = VENDOR / "htmx-4.0.1.min.js"
AXE = (VENDOR / "axe-4.14.1.min.js").read_text()
EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
_numbers = itertools.count(1)


def fresh_name() -> str:
    """Return a channel name that is unique in this run."""
    return f"Browser {next(_numbers)}"


def open_page(
    chromium,
    live,
    *,
    person=True,
    cdn=True,
    javascript=True,
    width=1280,
    scheme="light",
    zone="UTC",
):
    """Return a page in a new context, signed in unless `person` is false.

    Console errors are collected in `page.complaints`, blocked requests in `page.foreign`.
    """
    viewport = {"width": width, "height": 900}
    context = chromium.new_context(
        viewport=viewport,
        color_scheme=scheme,
        java_script_enabled=javascript,
        timezone_id=zone,
    )
    if person:
        for cookie in live.person.cookies:
            context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": live.url}])
    page = context.new_page()
    page.complaints = []
    page.foreign = []
    page.on(
        "console",
        lambda message: (
            _record_error(page, message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.route(
        re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: _route_external(page, route, cdn)
    )
    return page


def _record_error(page, text):
    if not EXPECTED.search(text):
        page.complaints.append(text)


def _route_external(page, route, cdn):
    if route.request.url == "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js" and cdn:
        cors_headers = {"access-control-allow-origin": "*"}
        route.fulfill(path=HTMX, content_type="text/javascript", headers=cors_headers)
    else:
        page.foreign.append(route.request.url)
        route.abort()


def fill(page, url, name=None, **fields):
    """Fill in the channel form; return the name."""
    name = name or fresh_name()
    page.fill("#name", name)
    page.fill("#url", url)
    for field, value in fields.items():
        page.fill(f"#{field}", value)
    return name


def violations(page) -> list[str]:
    """Return the accessibility violations that axe finds, one a line."""
    page.wait_for_load_state()  # its colors are those of the style sheet only then
    page.evaluate(AXE)
    result = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    lines = []
    for violation in result:
        targets = [node["target"] for node in violation["nodes"]]
        lines.append(f"{violation['id']}: {violation['help']}: {targets}")
    return lines
