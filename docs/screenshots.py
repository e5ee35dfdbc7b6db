"""Write docs/screenshots/: the pages of Tocsin after a busy day, 1280 px wide.

Requires Chromium.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "docs")]

from browsing import open_page  # noqa: E402
from conftest import CHROMIUM, Live  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402
from receiver import Receiver, reply  # noqa: E402
from sample_history import (  # noqa: E402
    LAB_RECEIVER,
    RECOVERED,
    SECOND_PERSON,
    SHOP,
    Changing,
    make_history,
    save,
)
from small_png import shrink  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
MAX_HEIGHT = 1900
EDITOR_HEIGHT = 1530  # down to the message about the payload
_RETRIED = """
    SELECT delivery.id, alert_id FROM delivery JOIN alert ON alert.id = alert_id
    WHERE name = :name AND event = 'open' AND attempts > 1"""


class Camera:
    """Takes the screenshots of a running Tocsin."""

    def __init__(self, browser: Browser, server: Live):
        self.browser = browser
        self.server = server
        self.blank = browser.new_page()  # the pages of Tocsin may not read the pixels

    def open(self, path: str, width: int = 1280, scheme: str = "light") -> Page:
        """Return a page that an editor has opened."""
        page = open_page(self.browser, self.server, width=width, scheme=scheme)
        page.goto(f"{self.server.url}{path}")
        return page

    def take(self, page: Page, name: str, max_height: int = MAX_HEIGHT) -> None:
        """Write the screenshot of a page, and close it."""
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(0, 0)
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**page.viewport_size, "height": min(height, max_height)})
        FOLDER.joinpath(f"{name}.png").write_bytes(shrink(self.blank, page.screenshot()))
        assert not page.complaints, page.complaints
        page.context.close()


def take_all(camera: Camera, channels: dict[str, int], missing: str) -> None:
    """Take every screenshot; the receiver at the URL `missing` answers 404."""
    server = camera.server
    shop = f"/channels/{channels[SHOP]}"
    [(delivery, alert)] = server.query(_RETRIED, name=RECOVERED.name)
    [(receiver,)] = server.query(LAB_RECEIVER, name=SHOP)
    camera.take(camera.open("/"), "dashboard")
    camera.take(camera.open("/", scheme="dark"), "dashboard-dark")
    camera.take(camera.open("/", width=390), "dashboard-narrow")
    page = camera.open(f"/deliveries/msg_{delivery}")
    page.locator("summary", has_text="Request of attempt").click()
    camera.take(page, "delivery")
    pages = {
        "deliveries": "/deliveries?state=problems&since=24h",
        "alert": f"/alerts/{alert}",
        "redeliver": "/deliveries/replay?state=problems&since=24h",
        "lab": f"/lab/{receiver}",
    }
    for name, path in pages.items():
        camera.take(camera.open(path), name)
    take_editor(camera, f"{shop}/edit", missing)
    take_conflict(camera, channels[SHOP])
    camera.take(camera.open(f"{shop}/history"), "history")


def take_editor(camera: Camera, path: str, missing: str) -> None:
    """Take the editor after a test of an unsaved change, with a mistake made since."""
    page = camera.open(path)
    page.fill("#url", missing)
    page.fill("#payload", '{\n  "team": "checkout",\n  "tier": 1\n}')
    page.get_by_role("button", name="Send test").click()
    page.locator("#test-result[data-verdict]").wait_for()
    page.fill("#payload", '{\n  "team": "checkout",\n  "tier": 1,\n}')
    page.locator("#payload-error", has_text="Line 4").wait_for()
    camera.take(page, "editor", EDITOR_HEIGHT)


def take_conflict(camera: Camera, channel_id: int) -> None:
    """Take the page after a save, when another user has saved the channel before."""
    page = camera.open(f"/channels/{channel_id}/edit")
    page.fill("#matchers", 'team=~"shop|orders|payments"')
    page.fill("#timeout", "4")
    other = camera.server.sign_in(SECOND_PERSON)
    save(camera.server, other, channel_id, timeout="12", payload='{"team": "checkout"}')
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".conflict").wait_for()
    camera.take(page, "conflict")


def main() -> None:
    """Start Tocsin and the receivers, make a history, and take the screenshots."""
    FOLDER.mkdir(exist_ok=True)
    missing = Receiver()
    missing.script = reply(404, b'{"error": "no such hook"}', Content_Type="application/json")
    chat = Changing(b"ok", reply(410, b"channel_is_archived"))
    status_page = Changing(b"", reply(422, b'{"error": "unknown component"}'))
    server = Live(Path(tempfile.mkdtemp()))
    try:
        server.ready()
        channels = make_history(server, chat, status_page)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            url = f"http://127.0.0.1:{missing.port}/hooks/checkout"
            take_all(Camera(browser, server), channels, url)
            browser.close()
    finally:
        server.stop()
        for receiver in (missing, chat, status_page):
            receiver.close()


if __name__ == "__main__":
    main()
