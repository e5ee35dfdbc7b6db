"""The preview in Chromium: each message drawn beside its body."""

import pytest
from browsing import open_page, violations

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

SLACK = "https://hooks.slack.com/services/T0/B0/abcdefghijklmnop"
FIELDS = {
    "slack": {"#url": SLACK},
    "ntfy": {"#options-topic": "ops"},
    "pagerduty": {"#options-routing_key": "R0UT1NGKEY000000000000000000000A"},
}


@pytest.fixture
def preview(chromium, live):
    """Open the preview of a new channel; it must log no error and load nothing from elsewhere."""
    pages = []

    def preview(kind, **options):
        page = open_page(chromium, live, **options)
        pages.append(page)
        page.goto(f"{live.url}/channels/new?kind={kind}")
        page.fill("#name", "Ops")
        for field, text in FIELDS.get(kind, {"#url": "https://hooks.example.com/x"}).items():
            page.fill(field, text)
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview details.sample")).to_have_count(5)
        return page

    yield preview
    for page in pages:
        page.context.close()
        assert (page.complaints, page.foreign) == ([], [])


@pytest.mark.parametrize(
    ("kind", "label", "family"),
    [("slack", "Slack", "card"), ("ntfy", "ntfy", "push"), ("pagerduty", "PagerDuty", "incident")],
)
def test_a_message_is_drawn_beside_its_body(preview, kind, label, family):
    page = preview(kind)
    drawing = page.get_by_role("figure", name=f"{label}, An open alert", exact=True)
    expect(drawing).to_be_visible()
    assert family in drawing.get_attribute("class").split()
    lock = drawing.get_by_role("group", name="On a lock screen")
    expect(lock).to_contain_text("Replication lag is 48 s and rising")
    expect(drawing.get_by_role("group", name=f"In {label}")).to_contain_text("Runbook")
    body = page.get_by_label("Body for the alert: open")
    expect(body).to_contain_text("PostgresReplicationLag")
    assert drawing.bounding_box()["y"] == pytest.approx(body.bounding_box()["y"], abs=2)
    assert drawing.bounding_box()["width"] > 250
    page.get_by_text("A group of nine alerts").click()
    expect(page.get_by_role("figure", name="A group of nine alerts")).to_contain_text("2 resolved")


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_preview_has_no_accessibility_violations_at_any_width(preview, kind, scheme, width):
    page = preview(kind, scheme=scheme, width=width)
    for name in ("The same alert, closed", "Hostile texts"):
        page.locator("summary", has_text=name).click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_body_is_below_the_drawing_on_a_phone(preview):
    page = preview("slack", width=390)
    drawing = page.get_by_role("figure", name="Slack, An open alert", exact=True).bounding_box()
    body = page.get_by_label("Body for the alert: open").bounding_box()
    assert body["y"] >= drawing["y"] + drawing["height"]
    assert body["x"] == pytest.approx(drawing["x"], abs=2)


def test_texts_of_an_alert_cannot_act_in_a_drawing(preview):
    page = preview("slack")
    page.get_by_text("Hostile texts").click()
    drawing = page.get_by_role("figure", name="Hostile texts")
    expect(drawing).to_contain_text("</script><b>&amp; {{ alert.name }}")
    expect(drawing.locator("a, script, b, [style]")).to_have_count(0)


def test_a_kind_without_a_drawing_shows_the_body_over_the_whole_width(preview):
    page = preview("webhook")
    expect(page.get_by_role("figure")).to_have_count(0)
    assert page.get_by_label("Body for the alert: open").bounding_box()["width"] > 400
