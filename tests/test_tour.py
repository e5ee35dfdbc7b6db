"""The tour of the README, as a newcomer takes it: on a new data folder, in Chromium."""

import re
import time

import pytest
from browsing import open_page, violations
from conftest import PASSWORD, Live

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect

TWO_MINUTES = 120
RETRY_TIMEOUT = 30_000  # milliseconds; the first retry comes after 8 to 12 seconds


@pytest.fixture
def fresh(tmp_path):
    """Yield a Tocsin on a new data folder, with neither an account nor a permission."""
    server = Live(tmp_path, TOCSIN_ADMIN_PASSWORD="", TOCSIN_ALLOW_NETWORKS="")
    try:
        server.ready()
        yield server
    finally:
        assert server.stop() == 0


@pytest.fixture
def page(chromium, fresh):
    """Yield a page that logs no error and loads nothing from elsewhere."""
    page = open_page(chromium, fresh, person=False)
    yield page
    page.context.close()
    assert (page.complaints, page.foreign) == ([], [])


def press(page, name):
    page.get_by_role("button", name=name, exact=True).or_(
        page.get_by_role("link", name=name, exact=True)
    ).first.click()


def set_up_link(server):
    """Return the link that the server prints."""
    deadline = time.monotonic() + 20
    while not (found := re.search(r"http\S+/setup/\S+", server.output())):
        assert time.monotonic() < deadline, server.output()
    return found[0]


def create_account(page, server):
    page.goto(set_up_link(server))
    page.fill("#username", "newcomer")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Welcome, newcomer.")


def start_tour(page):
    page.get_by_role("navigation").get_by_text("Lab").click()
    press(page, "Start the tour")
    expect(page.get_by_role("heading", name="The tour")).to_be_visible()


def test_a_newcomer_sees_a_test_a_failure_a_retry_and_a_success_in_two_minutes(page, fresh):
    began = time.monotonic()
    create_account(page, fresh)

    start_tour(page)
    expect(page.locator("#recipients")).to_have_text("No channel matches it yet.")
    press(page, "Create a channel for it")
    for verdict, status in (("retry", "500"), ("delivered", "200")):
        press(page, "Send test")
        result = page.locator(f'#test-result[data-verdict="{verdict}"][data-status="{status}"]')
        expect(result).to_be_visible()
    page.locator(".actions").get_by_role("button", name="Save").click()
    page.wait_for_url("**/edit")
    expect(page.locator(".facts")).to_contain_text("proven by test")

    start_tour(page)
    requests = page.locator("#received > li")
    expect(requests).to_have_count(2)
    expect(page.locator("#recipients")).to_have_text(re.compile(r"^\s*It goes to Tour\.\s*$"))
    assert violations(page) == []
    press(page, "Send a sample alert")
    expect(requests).to_have_count(3)
    expect(requests.first).to_have_attribute("data-answered", "500")
    first_id = requests.first.get_attribute("id")

    delivery = requests.first.get_by_role("link", name=re.compile("^msg_"))
    lab = page.url
    delivery.click()
    expect(page.locator("section[data-state]")).to_have_attribute("data-state", "pending")
    expect(page.locator('[data-verdict="retry"][data-status="500"]')).to_be_visible()

    page.goto(lab)
    expect(requests).to_have_count(4, timeout=RETRY_TIMEOUT)
    expect(requests.first).to_have_attribute("data-answered", "200")
    expect(requests.first).to_contain_text("attempt 2")
    assert requests.nth(1).get_attribute("id") == first_id
    assert violations(page) == []

    requests.first.get_by_role("link", name=re.compile("^msg_")).click()
    state = page.locator("section[data-state]")
    while state.get_attribute("data-state") != "delivered":  # stored soon after it was answered
        assert time.monotonic() - began < TWO_MINUTES
        page.reload()
    expect(page.locator('[data-verdict="delivered"][data-status="200"]')).to_be_visible()
    assert time.monotonic() - began < TWO_MINUTES


def test_requests_appear_without_a_reload_and_what_is_open_stays_open(page, fresh):
    create_account(page, fresh)
    start_tour(page)
    page.evaluate("window.__same = true")
    url = page.input_value("#address")
    requests = page.locator("#received > li")
    for number in (1, 2):
        page.request.post(url, data={"number": number})
        expect(requests).to_have_count(number)
        expect(page.locator("#live")).to_have_text("1 new request.")
        if number == 1:
            expect(page.locator("#responds")).to_contain_text("Next: 200, 2 of 2.")
            requests.first.locator("summary").press("Enter")
            expect(requests.first.locator("details")).to_have_attribute("open", "")
    expect(requests.nth(1).locator("details")).to_have_attribute("open", "")
    expect(requests.nth(1).locator("summary")).to_be_focused()
    expect(requests.first.locator("details")).not_to_have_attribute("open", "")
    assert page.evaluate("window.__same")


def test_a_page_whose_session_has_ended_asks_no_more(page, fresh):
    create_account(page, fresh)
    start_tour(page)
    page.context.clear_cookies()
    expect(page.locator("#notice")).not_to_be_empty()
    expect(page.locator("#live")).to_have_count(0)


@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_page_in_the_background_asks_for_nothing(chromium, live, is_hidden):
    page = open_page(chromium, live)
    page.goto(f"{live.url}/lab/1")
    is_prevented = page.evaluate(
        """(isHidden) => {
            Object.defineProperty(document, "hidden", { value: isHidden });
            const options = { bubbles: true, cancelable: true };
            const event = new CustomEvent("htmx:before:request", options);
            document.getElementById("live").dispatchEvent(event);
            return event.defaultPrevented;
        }""",
        is_hidden,
    )
    assert is_prevented == is_hidden
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_lab_is_accessible_and_fits(chromium, live, width, scheme):
    page = open_page(chromium, live, width=width, scheme=scheme)
    page.goto(f"{live.url}/lab/1")
    page.request.post(page.input_value("#address"), data={"a": ["long " * 100] * 3})
    page.reload()
    page.locator("#received summary").first.click()
    page.locator("#signature > summary").click()
    page.select_option("#signing", "grafana")
    page.select_option("#answer", "sequence")
    for path in ("/lab/1", "/lab"):
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.goto(f"{live.url}/lab")
    page.context.close()
    assert (page.complaints, page.foreign) == ([], [])


def test_the_lab_works_without_javascript_and_with_the_keyboard(chromium, live):
    page = open_page(chromium, live, javascript=False)
    page.goto(f"{live.url}/lab")
    page.fill("#name", "By keyboard")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/lab/\d+$"))
    page.locator("#answer").focus()
    page.keyboard.type("several")
    page.fill("#sequence", "500, 40")
    page.keyboard.press("Enter")
    expect(page.locator("#sequence-error")).to_contain_text("“40” is not a response.")
    expect(page.locator("#sequence")).to_have_value("500, 40")
    page.fill("#sequence", "500, 429")
    page.keyboard.press("Enter")
    expect(page.locator("#responds")).to_contain_text("500, then 429, and repeats the last")
    page.request.post(page.input_value("#address"), data={"a": 1})
    press(page, "Reload")
    expect(page.locator("#received > li")).to_have_count(1)
    page.locator("summary", has_text="Delete").press("Enter")
    press(page, "Delete By keyboard")
    expect(page.locator("#notice")).to_contain_text("“By keyboard” was deleted.")
    page.context.close()
