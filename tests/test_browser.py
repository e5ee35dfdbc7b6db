"""What a person does, in real Chromium."""

import re
import threading

import pytest
from browsing import fill, fresh_name, open_page, violations
from receiver import after, reply

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def visit(chromium, live):
    """Opens pages; at the end none of them may have complained or asked a anonymous."""
    pages = []

    def visit(path="/channels/new", **options):
        page = open_page(chromium, live, **options)
        pages.append((page, options.get("cdn", True)))
        page.goto(live.url + path)
        return page

    yield visit
    for page, cdn in pages:
        page.context.close()
        assert (page.complaints == [] and page.foreign == []) or not cdn, (
            page.complaints,
            page.foreign,
        )


def save(page):
    page.locator(".actions").get_by_role("button", name="Save").click()
    page.wait_for_url("**/edit")


def result(page, **marks):
    """Waits for a test result with these marks."""
    shown = page.locator(
        "#test-result[data-verdict]"
        + "".join(f'[data-{name}="{value}"]' for name, value in marks.items())
    )
    expect(shown).to_be_visible()
    return shown


# --- typing ------------------------------------------------------------------------------------------------------------


def test_a_bad_url_is_named_while_it_is_typed_and_nothing_is_lost(visit):
    page = visit()
    page.evaluate("window.__same = true")
    page.locator("#url").press_sequentially("htp://x")
    expect(page.locator("#url-error")).to_contain_text("https:// URLs only")
    expect(page.locator("#url")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#url")).to_have_value("htp://x")
    page.fill("#url", "https://hooks.example.com/x")
    expect(page.locator("#url-error")).to_be_empty()
    expect(page.locator("#url")).not_to_have_attribute("aria-invalid", "true")
    assert page.evaluate("window.__same")


def test_a_mistake_in_the_json_is_named_with_line_and_column(visit):
    page = visit()
    page.fill("#payload", '{\n  "a": 1,\n}')
    expect(page.locator("#payload-error")).to_have_text(
        "Line 3, column 1: remove the comma before the closing bracket."
    )
    page.fill("#payload", '{\n  "a": 1\n}')
    expect(page.locator("#payload-error")).to_be_empty()


def test_a_mistake_that_is_made_again_is_named_again(visit):
    # htmx's `changed` compares with the value of the last delayed check, and forgets those that leaving a field set off.
    page = visit()
    page.fill("#payload", "{")
    expect(page.locator("#payload-error")).to_contain_text("Line 1")
    page.fill("#payload", "{}")
    page.locator("#payload").blur()
    expect(page.locator("#payload-error")).to_be_empty()
    page.fill("#payload", "{")
    expect(page.locator("#payload-error")).to_contain_text("Line 1")


def test_a_name_that_is_taken_is_told_while_typing(visit):
    page = visit()
    name = fill(page, "https://hooks.example.com/x")
    save(page)
    page = visit()
    page.fill("#name", name)
    expect(page.locator("#name-error")).to_contain_text("already")


def test_fields_appear_with_the_choice_that_needs_them(visit):
    page = visit()
    expect(page.locator("#auth_secret")).to_be_hidden()
    page.select_option("#auth", "bearer")
    expect(page.locator("#auth_secret")).to_be_visible()
    expect(page.locator("#auth_username")).to_be_hidden()
    page.select_option("#kind", "alertmanager")
    expect(page.locator("#payload")).to_be_hidden()
    expect(page.locator("#url-help")).to_contain_text("/api/v2/alerts")


def test_header_rows_come_and_go_and_keep_what_was_typed(visit):
    page = visit()
    add = page.get_by_role("button", name="Add a header")
    add.click()
    expect(page.locator("#headers-0-name")).to_be_focused()
    page.keyboard.type("X-One")
    add.click()
    expect(page.locator("#headers-1-name")).to_be_focused()
    page.keyboard.type("bad name")
    expect(page.locator("#headers-1-name-error")).to_contain_text("letters, digits and hyphens")
    page.locator("#headers-0").get_by_role("button", name="Remove this header").click()
    expect(page.locator("#headers-0")).to_have_count(0)
    expect(page.locator("#headers-1-name")).to_have_value("bad name")
    expect(add).to_be_focused()


# --- tests and previews --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "delivered"), (404, "failed"), (503, "retry")]
)
def test_a_test_of_the_unsaved_form_shows_what_the_receiver_did(visit, receiver, status, verdict):
    receiver.script = reply(status, b"the receiver's own words")
    page = visit()
    page.evaluate("window.__same = true")
    fill(page, receiver.url)
    page.get_by_role("button", name="Send test").click()
    shown = result(page, verdict=verdict, status=status, actor="receiver")
    expect(shown).to_contain_text(f"answered {status}")
    assert page.evaluate("window.__same")
    assert len(receiver.requests) == 1


def test_a_slow_receiver_shows_that_it_is_waited_for_and_two_clicks_send_once(visit, receiver):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    page = visit()
    fill(page, receiver.url)
    button = page.get_by_role("button", name="Send test")
    button.dblclick()
    expect(page.locator("#test-waiting")).to_be_visible()
    expect(button).to_be_disabled()
    gate.set()
    result(page, verdict="delivered")
    expect(button).to_be_enabled()
    expect(page.locator("#test-waiting")).to_be_hidden()
    assert len(receiver.requests) == 1


def test_an_invalid_form_is_not_sent_and_the_messages_stand_at_the_fields(visit, receiver):
    page = visit()
    fill(page, receiver.url, name=" ")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#test-result")).to_contain_text("The test was not sent")
    expect(page.locator("#name-error")).to_contain_text("Give the channel a name")
    expect(page.locator("#name")).to_have_attribute("aria-invalid", "true")
    assert receiver.connections == 0


def test_a_preview_shows_the_request_and_sends_nothing(visit, receiver):
    page = visit()
    fill(page, receiver.url, payload='{"n": 1.10}')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text('"payload":{"n": 1.10}')
    expect(page.locator("#preview")).to_contain_text("Host: 127.0.0.1")
    assert receiver.connections == 0


def test_when_tocsin_cannot_be_reached_the_page_says_so_and_keeps_everything(visit, receiver):
    page = visit()
    name = fill(page, receiver.url)
    page.route("**/test", lambda route: route.abort())
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#notice")).to_contain_text("cannot be reached")
    expect(page.locator("#name")).to_have_value(name)
    page.complaints = [
        one for one in page.complaints if "ERR_FAILED" not in one and "htmx" not in one.lower()
    ]


# --- saving --------------------------------------------------------------------------------------------------------------


def test_enter_saves_and_does_not_test(visit, receiver):
    page = visit()
    fill(page, receiver.url)
    page.locator("#name").press("Enter")
    page.wait_for_url("**/edit")
    expect(page.locator("#notice")).to_contain_text("Saved")
    assert receiver.connections == 0


def test_two_clicks_on_save_make_one_channel(visit):
    page = visit()
    name = fill(page, "https://hooks.example.com/x")
    page.locator(".actions").get_by_role("button", name="Save").dblclick()
    page.wait_for_url("**/edit")
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("#notice")).to_contain_text("Saved")


@pytest.mark.parametrize("payload", ['\n\n{"a": 1}\n', '"</textarea><b>&amp;"', '{"ü": "監視 ✓"}'])
def test_the_payload_comes_back_to_the_letter(visit, payload):
    page = visit()
    fill(page, "https://hooks.example.com/x", payload=payload)
    save(page)
    expect(page.locator("#payload")).to_have_value(payload)


def test_the_second_of_two_people_sees_both_and_decides(visit):
    first = visit()
    name = fill(first, "https://hooks.example.com/x", payload="[1]")
    save(first)
    path = "/channels/" + first.url.split("/channels/")[1]
    second = visit(path)
    first.fill("#payload", "[2]")
    save(first)
    second.fill("#payload", "[3]")
    second.locator(".actions").get_by_role("button", name="Save").click()
    conflict = second.locator(".conflict")
    expect(conflict).to_contain_text("[2]")
    expect(conflict).to_contain_text("[3]")
    expect(second.locator("#payload")).to_have_value("[3]")
    save(second)
    expect(second.locator("h1")).to_have_text(name)
    expect(second.locator("#payload")).to_have_value("[3]")


def test_a_channel_is_made_tested_and_saved_with_the_keyboard_alone(visit, receiver):
    page = visit("/channels")
    page.get_by_role("link", name="New channel").or_(
        page.get_by_role("link", name="Make the first channel")
    ).first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/new")
    page.locator("#name").focus()
    page.keyboard.type(fresh_name())
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#url")).to_be_focused()
    page.keyboard.type(receiver.url)
    test = page.get_by_role("button", name="Send test")
    for _ in range(20):
        page.keyboard.press("Tab")
        if test.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    result(page, verdict="delivered")
    expect(test).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/edit")
    expect(page.locator("h1 + .facts")).to_contain_text("proven by test")


# --- kinds and bodies of one's own -----------------------------------------------------------------------------------------

TELEGRAM = "https://api.telegram.org/bot123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/sendMessage?chat_id=-1001234"


def test_the_fields_of_a_kind_come_with_its_choice_without_a_reload(visit):
    page = visit()
    page.evaluate("window.__same = true")
    page.fill("#name", "Ops")
    page.select_option("#kind", "gotify")
    expect(page.locator("#options-app_token")).to_be_visible()
    expect(page.locator("#use-kind")).to_be_hidden()
    page.select_option("#kind", "webhook")
    expect(page.locator("#options-app_token")).to_have_count(0)
    expect(page.locator("#name")).to_have_value("Ops")
    assert page.evaluate("window.__same")


def test_a_pasted_url_becomes_a_channel_of_its_kind_by_the_keyboard_alone(visit):
    page = visit()
    page.fill("#name", fresh_name())
    page.locator("#url").focus()
    page.keyboard.insert_text(TELEGRAM)
    use = page.get_by_role("button", name="Use Telegram")
    expect(use).to_be_visible()
    page.keyboard.press("Tab")
    expect(use).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#kind")).to_have_value("telegram")
    expect(page.locator("#url")).to_have_value("https://api.telegram.org")
    expect(page.locator("#options-chat_id")).to_have_value("-1001234")
    assert "AAbbCC" not in page.content()
    save(page)


def test_leaving_the_field_does_not_take_the_offer_away_from_under_the_pointer(visit):
    page = visit()
    page.fill("#url", TELEGRAM)
    use = page.get_by_role("button", name="Use Telegram")
    expect(use).to_be_visible()
    use.evaluate("button => { button.kept = true; }")
    with page.expect_response("**/validate/url"):
        page.locator("#url").blur()
    page.locator("#name").focus()
    assert use.evaluate("button => button.kept")
    box = use.bounding_box()
    page.locator("#url").press("End")
    page.keyboard.type("2")
    expect(use).to_be_visible()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    with page.expect_response("**/validate/url"):
        page.mouse.down()
    page.mouse.up()
    expect(page.locator("#kind")).to_have_value("telegram")


def test_advice_goes_when_what_it_was_of_has_gone(visit):
    page = visit()
    page.fill("#url", TELEGRAM)
    expect(page.locator("#url-note")).to_contain_text("Telegram")
    page.fill("#url", "https://hooks.example.com/x")
    expect(page.locator("#url-note")).not_to_contain_text("Telegram")
    expect(page.locator("#url-error")).to_be_empty()


def test_a_body_is_written_with_clicks_checked_and_previewed_while_it_is_typed(visit):
    page = visit("/channels/new?kind=custom")
    page.fill("#body", '{"text": ""}')
    page.evaluate("document.getElementById('body').setSelectionRange(10, 10)")
    page.get_by_text("Names and what they stand for").click()
    page.get_by_role("button", name="alert.name", exact=True).click()
    expect(page.locator("#body")).to_have_value('{"text": "{{ alert.name }}"}')
    expect(page.locator("#preview")).to_contain_text('{"text":"Test alert from Tocsin"}')
    page.keyboard.press("Control+z")
    expect(page.locator("#body")).to_have_value('{"text": ""}')
    page.fill("#body", '{"text": "{{ alert.nmae }}"}')
    expect(page.locator("#body-error")).to_contain_text(
        "Line 1, column 11: alert.nmae is not known; did you mean alert.name?"
    )
    expect(page.locator("#name-error")).to_be_empty()


def test_a_body_to_begin_with_fills_the_empty_field(visit):
    page = visit("/channels/new?kind=custom")
    page.get_by_role("button", name="Plain text").click()
    expect(page.locator("#body")).to_have_value(re.compile("alert.name"))
    expect(page.locator("#kind")).to_have_value("custom")


@pytest.mark.parametrize(
    "options", [{"javascript": False}, {"cdn": False}], ids=["no scripts", "no htmx"]
)
def test_the_fields_of_a_kind_come_without_htmx_too(visit, options):
    page = visit(**options)
    page.fill("#name", "Ops")
    page.select_option("#kind", "gotify")
    page.get_by_role("button", name="Show the fields of this kind").click()
    expect(page.locator("#options-app_token")).to_be_visible()
    expect(page.locator("#name")).to_have_value("Ops")


# --- without scripts -------------------------------------------------------------------------------------------------------


def everything_by_buttons(page, receiver):
    """Creates, tests, saves, pauses, copies and deletes a channel by whole pages."""
    page.get_by_role("button", name="Add a header").click()
    name = fill(page, receiver.url, payload="{")
    page.fill("#headers-0-name", "X-Team")
    page.fill("#headers-0-value", "db")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#payload-error")).to_contain_text("Line 1, column 2")
    page.fill("#payload", "[1]")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("X-Team: db")
    page.get_by_role("button", name="Send test").click()
    result(page, verdict="delivered")
    expect(page.locator("#headers-0-value")).to_have_value("db")
    page.get_by_role("button", name="Remove this header").click()
    expect(page.locator("#headers-0-name")).to_have_count(0)
    save(page)
    expect(page.locator("#notice")).to_contain_text("Saved")
    page.get_by_role("link", name="Channels").click()
    page.get_by_role("button", name=f"Pause {name}", exact=True).click()
    row = page.locator(".list li").filter(has=page.get_by_role("link", name=name, exact=True))
    expect(row).to_have_attribute("data-state", "paused")
    page.get_by_role("button", name=f"Duplicate {name}", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{name} (copy)")
    page.get_by_role("link", name="Channels").click()
    page.get_by_role("link", name=f"Delete {name} …", exact=True).click()
    page.get_by_role("button", name="Delete the channel").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)


def test_everything_works_with_javascript_off(visit, receiver):
    everything_by_buttons(visit(javascript=False), receiver)
    assert len(receiver.requests) == 1


def test_everything_works_with_the_cdn_blocked(visit, receiver):
    everything_by_buttons(visit(cdn=False), receiver)
    assert len(receiver.requests) == 1


# --- looks -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_and_fits_its_screen(visit, receiver, live, scheme, width):
    receiver.script = reply(404, b"no " * 200, X_Long="x" * 200)
    page = visit("/channels/new?kind=webhook", scheme=scheme, width=width)

    def check():
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    check()
    page.get_by_role("button", name="Add a header").click()
    expect(page.locator("#headers-0-name")).to_be_focused()
    page.fill("#headers-0-name", "X-Team")
    fill(page, receiver.url, payload="[1]")
    page.select_option("#auth", "basic")
    page.fill("#auth_username", "me")
    page.select_option("#signing", "standard")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#signing_secret-error")).to_contain_text("Enter the secret")
    check()
    page.select_option("#signing", "none")
    page.get_by_role("button", name="Send test").click()
    result(page, verdict="failed")
    page.get_by_text("What was sent").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("curl")
    check()
    save(page)
    check()
    edit = page.url
    page.evaluate("document.querySelector('[name=version]').value = '0'")
    page.fill("#payload", "[2]")
    page.locator(".actions").get_by_role("button", name="Save").click()
    expect(page.locator(".conflict")).to_be_visible()
    check()
    page.goto(f"{live.url}/channels/new?kind=custom")
    page.fill("#url", TELEGRAM)
    expect(page.locator("#url-note")).to_contain_text("Telegram")
    page.get_by_text("Names and what they stand for").click()
    page.fill("#body", '{"a": "{{ alert.name }}"}')
    expect(page.locator("#preview")).to_contain_text("A huge alert")
    check()
    for path in ("/channels", edit.removeprefix(live.url).replace("/edit", "/delete"), "/nowhere"):
        page.goto(live.url + path)
        check()
