"""The editor in Chromium."""

import contextlib
import re
import threading

import pytest
from browsing import fill, fresh_name, open_page, violations
from receiver import after, reply

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect


@pytest.fixture
def visit(chromium, live):
    """Open pages that must log no error and send no request to another host."""
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
    """Wait for a test result with these marks."""
    shown = page.locator(
        "#test-result[data-verdict]"
        + "".join(f'[data-{name}="{value}"]' for name, value in marks.items())
    )
    expect(shown).to_be_visible()
    return shown


# --- typing ---------------------------------------------------------------------------------------


def test_an_invalid_url_gets_a_message_while_typing_and_nothing_is_lost(visit):
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


def test_a_json_error_is_shown_with_line_and_column(visit):
    page = visit()
    page.fill("#payload", '{\n  "a": 1,\n}')
    expect(page.locator("#payload-error")).to_have_text(
        "Line 3, column 1: remove the comma before the closing bracket."
    )
    page.fill("#payload", '{\n  "a": 1\n}')
    expect(page.locator("#payload-error")).to_be_empty()


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("matchers", "team=", 'team="db"'),
        ("group_by", 'cluster="eu"', "cluster"),
        ("url", "https://hooks.slack.com/ services", "https://hooks.slack.com/services/T1/B1/x"),
    ],
)
def test_a_message_goes_when_only_a_note_comes(visit, field, wrong, right):
    page = visit()
    page.fill(f"#{field}", wrong)
    expect(page.locator(f"#{field}-error")).not_to_be_empty()
    page.fill(f"#{field}", right)
    expect(page.locator(f"#{field}-note")).not_to_be_empty()
    expect(page.locator(f"#{field}-error")).to_be_empty()


def test_a_repeated_error_gets_its_message_again(visit):
    # htmx's `changed` compares with the value of the last delayed check only.
    page = visit()
    page.fill("#payload", "{")
    expect(page.locator("#payload-error")).to_contain_text("Line 1")
    page.fill("#payload", "{}")
    page.locator("#payload").blur()
    expect(page.locator("#payload-error")).to_be_empty()
    page.fill("#payload", "{")
    expect(page.locator("#payload-error")).to_contain_text("Line 1")


def test_a_name_of_another_channel_gets_a_message_while_typing(visit):
    page = visit()
    name = fill(page, "https://hooks.example.com/x")
    save(page)
    page = visit()
    page.fill("#name", name)
    expect(page.locator("#name-error")).to_contain_text("already")


def test_the_settings_of_groups_are_checked_while_typing_and_come_back(visit, receiver):
    page = visit()
    fill(page, receiver.url)
    page.fill("#group_by", "alertname, clustr")
    expect(page.locator("#group_by-note")).not_to_be_empty()
    expect(page.locator("#group_by-error")).to_be_empty()
    page.fill("#group_by", 'cluster="eu"')
    expect(page.locator("#group_by-error")).to_contain_text("is not the name of a label")
    page.fill("#group_by", "alertname, cluster")
    expect(page.locator("#group_by-error")).to_be_empty()
    page.fill("#group_wait", "301")
    expect(page.locator("#group_wait-error")).to_contain_text("0 to 300")
    page.fill("#group_wait", "10")
    save(page)
    expect(page.locator("#group_by")).to_have_value("alertname, cluster")
    expect(page.locator("#group_wait")).to_have_value("10")


def test_a_choice_shows_the_fields_that_it_needs(visit):
    page = visit()
    expect(page.locator("#auth_secret")).to_be_hidden()
    page.select_option("#auth", "bearer")
    expect(page.locator("#auth_secret")).to_be_visible()
    expect(page.locator("#auth_username")).to_be_hidden()
    page.select_option("#kind", "alertmanager")
    expect(page.locator("#payload")).to_be_hidden()
    expect(page.locator("#url-help")).to_contain_text("/api/v2/alerts")


def test_header_rows_can_be_added_and_removed_without_losing_text(visit):
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


def test_a_credential_in_a_header_row_is_ticked_as_a_secret_while_typing(visit):
    page = visit()
    page.get_by_role("button", name="Add a header").click()
    page.fill("#headers-0-name", "Authorization")
    expect(page.locator("#headers-0-secret")).not_to_be_checked()
    page.fill("#headers-0-value", "Bearer t0ken")
    expect(page.locator("#headers-0-secret")).to_be_checked()
    expect(page.locator("#headers-0-name-note")).to_contain_text("always a secret")
    expect(page.locator("#headers-0-value")).to_have_value("Bearer t0ken")
    page.fill("#headers-0-name", "X-Team")
    expect(page.locator("#headers-0-name-note")).to_be_empty()


def test_a_check_that_ends_late_brings_no_note_on_a_name_that_has_changed(visit):
    page = visit()
    page.get_by_role("button", name="Add a header").click()
    page.fill("#headers-0-name", "Authorization")
    checks = []
    page.route("**/validate/headers-0-value", lambda check: checks.append(check))
    with page.expect_request("**/validate/headers-0-value"):
        page.fill("#headers-0-value", "Bearer t0ken")
    with page.expect_response("**/validate/headers-0-name"):
        page.fill("#headers-0-name", "X-Team")
    answers = [check.fetch() for check in checks]
    assert any("always a secret" in answer.text() for answer in answers)
    for check, answer in zip(checks, answers, strict=True):
        with contextlib.suppress(playwright.Error):  # a later check has replaced it
            check.fulfill(response=answer)
    expect(page.locator("#headers-0-name-note")).to_be_empty()
    expect(page.locator("#headers-0-name-error")).to_be_empty()


# --- tests and previews ---------------------------------------------------------------------------


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


def test_a_slow_receiver_shows_a_waiting_text_and_two_clicks_send_once(visit, receiver):
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


def test_an_invalid_form_is_not_sent_and_shows_messages_at_the_fields(visit, receiver):
    page = visit()
    fill(page, receiver.url, name=" ")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#test-result")).to_contain_text("The test was not sent")
    expect(page.locator("#name-error")).to_contain_text("Enter a name for the channel")
    expect(page.locator("#name")).to_have_attribute("aria-invalid", "true")
    assert receiver.connections == 0


def test_a_preview_shows_the_request_and_sends_nothing(visit, receiver):
    page = visit()
    fill(page, receiver.url, payload='{"n": 1.10}')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text('"payload":{"n": 1.10}')
    expect(page.locator("#preview")).to_contain_text("Host: 127.0.0.1")
    assert receiver.connections == 0


def test_an_unreachable_server_is_reported_and_the_form_is_kept(visit, receiver):
    page = visit()
    name = fill(page, receiver.url)
    page.route("**/test", lambda route: route.abort())
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#notice")).to_contain_text("cannot reach Tocsin")
    expect(page.locator("#name")).to_have_value(name)
    page.complaints = [
        one for one in page.complaints if "ERR_FAILED" not in one and "htmx" not in one.lower()
    ]


# --- saving ---------------------------------------------------------------------------------------


def test_enter_saves_and_does_not_test(visit, receiver):
    page = visit()
    fill(page, receiver.url)
    page.locator("#name").press("Enter")
    page.wait_for_url("**/edit")
    expect(page.locator("#notice")).to_contain_text("Saved")
    assert receiver.connections == 0


def test_two_clicks_on_save_create_one_channel(visit):
    page = visit()
    name = fill(page, "https://hooks.example.com/x")
    page.locator(".actions").get_by_role("button", name="Save").dblclick()
    page.wait_for_url("**/edit")
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("#notice")).to_contain_text("Saved")


@pytest.mark.parametrize("payload", ['\n\n{"a": 1}\n', '"</textarea><b>&amp;"', '{"ü": "監視 ✓"}'])
def test_the_payload_comes_back_unchanged(visit, payload):
    page = visit()
    fill(page, "https://hooks.example.com/x", payload=payload)
    save(page)
    expect(page.locator("#payload")).to_have_value(payload)


def test_a_conflict_shows_both_versions_and_a_second_save_wins(visit):
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


def test_a_channel_can_be_created_tested_and_saved_with_the_keyboard(visit, receiver):
    page = visit("/channels")
    page.get_by_role("link", name="New channel").or_(
        page.get_by_role("link", name="Create the first channel")
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


# --- kinds and custom bodies ----------------------------------------------------------------------

TELEGRAM = (
    "https://api.telegram.org/bot123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
    "/sendMessage?chat_id=-1001234"
)


def test_choosing_a_kind_loads_its_options_without_a_reload(visit):
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


def test_a_pasted_url_becomes_a_channel_of_its_kind_with_the_keyboard(visit):
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


def test_a_suggestion_stays_clickable_when_the_field_loses_the_focus(visit):
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


def test_a_hint_disappears_when_the_value_changes(visit):
    page = visit()
    page.fill("#url", TELEGRAM)
    expect(page.locator("#url-note")).to_contain_text("Telegram")
    page.fill("#url", "https://hooks.example.com/x")
    expect(page.locator("#url-note")).not_to_contain_text("Telegram")
    expect(page.locator("#url-error")).to_be_empty()


def test_names_are_inserted_by_clicks_and_the_body_is_previewed_while_typing(visit):
    page = visit("/channels/new?kind=custom")
    page.fill("#body", '{"text": ""}')
    page.evaluate("document.getElementById('body').setSelectionRange(10, 10)")
    page.get_by_text("Available names").click()
    page.get_by_role("button", name="alert.name", exact=True).click()
    expect(page.locator("#body")).to_have_value('{"text": "{{ alert.name }}"}')
    expect(page.locator("#preview")).to_contain_text('{"text":"PostgresReplicationLag"}')
    page.keyboard.press("Control+z")
    expect(page.locator("#body")).to_have_value('{"text": ""}')
    page.fill("#body", '{"text": "{{ alert.nmae }}"}')
    expect(page.locator("#body-error")).to_contain_text(
        "Line 1, column 11: alert.nmae is not known; did you mean alert.name?"
    )
    expect(page.locator("#name-error")).to_be_empty()


def test_a_starter_body_fills_an_empty_body(visit):
    page = visit("/channels/new?kind=custom")
    page.get_by_role("button", name="Plain text").click()
    expect(page.locator("#body")).to_have_value(re.compile("alert.title"))
    expect(page.locator("#kind")).to_have_value("custom")


@pytest.mark.parametrize(
    "options", [{"javascript": False}, {"cdn": False}], ids=["no scripts", "no htmx"]
)
def test_the_options_of_a_kind_can_be_loaded_without_htmx(visit, options):
    page = visit(**options)
    page.fill("#name", "Ops")
    page.select_option("#kind", "gotify")
    page.get_by_role("button", name="Show the fields of this kind").click()
    expect(page.locator("#options-app_token")).to_be_visible()
    expect(page.locator("#name")).to_have_value("Ops")


# --- without scripts ------------------------------------------------------------------------------


def use_every_button(page, receiver):
    """Create, test, save, pause, copy and delete a channel with whole pages."""
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
    page.get_by_role("link", name="Channels", exact=True).click()
    page.locator(f'summary[aria-label="Pause {name} …"]').click()
    page.get_by_role("button", name="Hold them until you resume").click()
    row = page.locator(".list li").filter(has=page.get_by_role("link", name=name, exact=True))
    expect(row).to_have_attribute("data-state", "paused")
    page.get_by_role("button", name=f"Duplicate {name}", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{name} (copy)")
    page.get_by_role("link", name="Channels", exact=True).click()
    page.get_by_role("link", name=f"Delete {name} …", exact=True).click()
    page.get_by_role("button", name="Delete the channel").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)


def test_everything_works_with_javascript_off(visit, receiver):
    use_every_button(visit(javascript=False), receiver)
    assert len(receiver.requests) == 1


def test_everything_works_with_the_cdn_blocked(visit, receiver):
    use_every_button(visit(cdn=False), receiver)
    assert len(receiver.requests) == 1


# --- accessibility and layout ---------------------------------------------------------------------


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
    page.get_by_text("Sent request").click()
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
    page.get_by_text("Available names").click()
    page.fill("#body", '{"a": "{{ alert.name }}"}')
    expect(page.locator("#preview")).to_contain_text("A huge alert")
    check()
    for path in ("/channels", edit.removeprefix(live.url).replace("/edit", "/delete"), "/nowhere"):
        page.goto(live.url + path)
        check()
