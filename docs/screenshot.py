"""Update docs/screenshot.png: the editor after a test, 1280 px wide.

Requires Chromium.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import CHROMIUM, Live  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from receiver import Receiver, reply  # noqa: E402

HTMX = ROOT / "tests" / "vendor" / "htmx-4.0.1.min.js"
CORS_HEADERS = {"access-control-allow-origin": "*"}


def main() -> None:
    """Start Tocsin and a receiver, fill in the form, send a test and take the screenshot."""
    receiver = Receiver()
    receiver.script = reply(404, b'{"error": "no such hook"}', Content_Type="application/json")
    server = Live(Path(tempfile.mkdtemp()))
    try:
        server.ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 1190})
            script = {"path": str(HTMX), "content_type": "text/javascript", "headers": CORS_HEADERS}
            page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(**script))
            for cookie in server.person.cookies:
                page.context.add_cookies(
                    [{"name": cookie.name, "value": cookie.value, "url": server.url}]
                )
            page.goto(f"{server.url}/channels/new")
            page.fill("#name", "Shop, on call")
            page.fill("#url", f"http://127.0.0.1:{receiver.port}/hooks/checkout")
            page.fill("#payload", '{\n  "team": "checkout",\n  "tier": 1,\n}')
            page.locator("#payload-error", has_text="Line 4").wait_for()
            page.fill("#payload", '{\n  "team": "checkout",\n  "tier": 1\n}')
            page.get_by_role("button", name="Send test").click()
            page.locator("#test-result[data-verdict]").wait_for()
            page.fill("#payload", '{\n  "team": "checkout",\n  "tier": 1,\n}')
            page.locator("#payload-error", has_text="Line 4").wait_for()
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=str(ROOT / "docs" / "screenshot.png"))
            browser.close()
    finally:
        server.stop()
        receiver.close()


if __name__ == "__main__":
    main()
