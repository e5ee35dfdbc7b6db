"""Sign-in, users, tokens and interrupted edits in Chromium."""

import re

import pytest
from browsing import fill, fresh_name, open_page, violations
from conftest import PASSWORD
from markup import token_in

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture
def visit(chromium, live):
    """Return a function that opens pages; none may log errors or contact other sites."""
    pages = []

    def visit(path="/login", **options):
        page = open_page(chromium, live, person=options.pop("person", False), **options)
        pages.append(page)
        page.goto(live.url + path)
        return page

    yield visit
    for page in pages:
        page.context.close()
        assert (page.complaints, page.foreign) == ([], [])


def sign_in(page, name="admin", password=PASSWORD):
    """Fill in and submit the sign-in form of the page."""
    page.fill("#username", name)
    page.fill("#password", password)
    page.keyboard.press("Enter")


def sign_in_as_admin(page):
    """Sign in as admin and wait for the channels."""
    sign_in(page)
    page.wait_for_url(re.compile(r"://[^/]+/$"))


def tab_to(page, locator):
    """Press Tab until the element has a visible focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if locator.evaluate("element => element === document.activeElement"):
            break
    expect(locator).to_be_focused()
    assert locator.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


def end_session(page, live):
    """Sign the browser out in the background, as another tab would."""
    response = page.request.get(f"{live.url}/account")
    page.request.post(
        f"{live.url}/logout", form={"csrf_token": token_in(response.text())}, max_redirects=0
    )


def viewer_of(live, visit):
    """Create a viewer and return a page that is signed in with the sign-up link."""
    name = fresh_name()
    form = {
        "csrf_token": token_in(live.person.get(f"{live.url}/account").text),
        "name": name,
        "role": "viewer",
    }
    html = live.person.post(f"{live.url}/people", form).text
    page = visit(re.search(r"/setup/[\w-]+", html)[0])
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text(f"Welcome, {name}.")
    return page


# --- sign-in and users ----------------------------------------------------------------------------


def test_sign_in_and_sign_out_by_keyboard(visit, live):
    page = visit("/channels/new?kind=ntfy")
    expect(page.locator("#username")).to_be_focused()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    expect(page.locator("#username")).to_have_value("admin")
    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/channels/new?kind=ntfy")
    old = page.context.cookies()
    page.goto(f"{live.url}/channels")
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text("You are signed out.")
    page.context.clear_cookies()
    page.context.add_cookies(old)
    page.goto(f"{live.url}/channels")
    expect(page.locator("h1")).to_have_text("Sign in")


def test_a_user_is_added_and_removed_by_keyboard_and_the_link_is_copied(visit, live):
    page = visit("/people", person=True)
    name = fresh_name()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab_to(page, page.locator("#name"))
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    link = page.get_by_label(f"Sign-up link for {name}")
    # The script has run.
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    expect(link).to_be_focused()
    assert page.evaluate("getSelection().toString()") == link.input_value()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == link.input_value()
    tab_to(page, page.locator(f'summary[aria-label="Remove {name} …"]'))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name=f"Remove {name}", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text(f"{name} is removed.")
    page.goto(f"{live.url}/people")
    expect(page.get_by_text(name)).to_have_count(0)


def test_a_taken_name_is_reported_in_the_form_and_the_role_is_kept(visit):
    page = visit("/people", person=True)
    page.fill("#name", "Admin")
    page.select_option("#role", "editor")
    page.get_by_role("button", name="Create user").click()
    expect(page.locator("form.add").get_by_role("alert")).to_contain_text("already")
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#role")).to_have_value("editor")


def test_a_viewer_sees_no_save_button_and_no_full_url_and_cannot_post(visit, live):
    page = visit("/channels/new?kind=webhook", person=True)
    name = fill(page, "https://hooks.example.com/services/t0ken-of-the-path", payload="[1]")
    page.locator(".actions").get_by_role("button", name="Save").click()
    page.wait_for_url("**/edit")
    edit = page.url
    page = viewer_of(live, visit)
    page.goto(f"{live.url}/channels?q={name}")
    expect(page.get_by_role("link", name="New channel")).to_have_count(0)
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(edit)
    expect(page.locator("#main")).to_contain_text("You are a viewer")
    expect(page.get_by_role("button")).to_have_text(["Sign out"])
    expect(page.locator("#name")).to_be_disabled()
    assert "t0ken-of-the" not in page.content()
    form = {
        "csrf_token": token_in(page.content()),
        "name": "mine",
        "kind": "webhook",
        "version": "1",
    }
    for path in ("", "/test", "/delete"):
        assert page.request.post(edit.removesuffix("/edit") + path, form=form).status == 403
    page.reload()
    expect(page.locator("h1")).to_have_text(name)


# --- interrupted edits ----------------------------------------------------------------------------


def begin_edit(page, receiver):
    """Fill in a channel with a secret without saving it, and return its name."""
    name = fill(page, receiver.url, payload='{"n": 1.10}')
    page.select_option("#auth", "bearer")
    page.fill("#auth_secret", "typed before the end")
    return name


def save_and_test(page, name, receiver):
    """Save the restored edit and send a test: the receiver gets the secret."""
    expect(page.locator("#name")).to_have_value(name)
    expect(page.locator("#url")).to_have_value(receiver.url)
    expect(page.locator("#payload")).to_have_value('{"n": 1.10}')
    assert "typed before the end" not in page.content()
    page.locator(".actions").get_by_role("button", name="Save").click()
    page.wait_for_url("**/edit")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#test-result")).to_have_attribute("data-verdict", "delivered")
    sent = {header.lower(): value for header, value in receiver.requests[-1].headers.items()}
    assert sent["authorization"] == "Bearer typed before the end"


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_an_edit_survives_a_session_that_ends_before_save(visit, live, receiver, javascript):
    page = visit(javascript=javascript)
    sign_in_as_admin(page)
    page.goto(f"{live.url}/channels/new?kind=webhook")
    name = begin_edit(page, receiver)
    end_session(page, live)
    page.locator(".actions").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Sign in to get your edit back")
    sign_in(page, password="not the password")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    sign_in(page)
    expect(page.get_by_text("You are signed in again.")).to_be_visible()
    assert receiver.connections == 0
    save_and_test(page, name, receiver)


def test_an_edit_survives_a_sign_in_in_another_tab(visit, live, receiver):
    page = visit()
    sign_in_as_admin(page)
    page.goto(f"{live.url}/channels/new?kind=webhook")
    name = begin_edit(page, receiver)
    end_session(page, live)
    page.locator(".actions").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Sign in to get your edit back")
    other = page.context.new_page()
    other.goto(f"{live.url}/login")
    sign_in_as_admin(other)
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text(
        "Sign in again; an edit that you started is kept."
    )
    sign_in(page)
    save_and_test(page, name, receiver)


def test_a_test_continues_after_a_sign_in_in_another_tab(visit, live, receiver):
    page = visit()
    sign_in_as_admin(page)
    page.goto(f"{live.url}/channels/new?kind=webhook")
    page.evaluate("window.__same = true")
    begin_edit(page, receiver)
    end_session(page, live)
    page.locator("#name").press("End")
    page.keyboard.type("!")
    notice = page.locator("#notice")
    test = page.get_by_role("button", name="Send test")
    expect(notice).to_contain_text("What you typed is still here")
    expect(page.locator("#name-error")).to_be_empty()
    test.click()
    expect(test).to_be_enabled()
    expect(notice).to_be_in_viewport()
    with page.context.expect_page() as opened:
        notice.get_by_role("link", name="Sign in in another tab").click()
    sign_in_as_admin(opened.value)
    test.click()
    expect(notice).to_contain_text("press the button again")
    assert receiver.connections == 0
    test.click()
    expect(page.locator("#test-result")).to_have_attribute("data-verdict", "delivered")
    expect(notice).to_be_empty()
    assert page.evaluate("window.__same")
    expect(page.locator("#auth_secret")).to_have_value("typed before the end")
    page.locator(".actions").get_by_role("button", name="Save").click()
    page.wait_for_url("**/edit")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#notice")).to_have_text("You are signed out.")


# --- accessibility and layout ---------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("dark", 390)])
def test_the_pages_of_people_and_tokens_are_accessible_and_fit_the_screen(
    visit, live, scheme, width
):
    long = f"{fresh_name()} {'with-a-long-name' * 3}"

    def check(page):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page = visit(scheme=scheme, width=width)
    check(page)
    sign_in(page, password="not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    check(page)
    page = visit("/people", person=True, scheme=scheme, width=width)
    page.fill("#name", long)
    page.get_by_role("button", name="Create user").click()
    expect(page.locator("#link")).to_be_focused()
    check(page)
    link = page.input_value("#link")
    page.locator(f'summary[aria-label="Remove {long} …"]').click()
    remove = page.get_by_role("button", name=f"Remove {long}", exact=True)
    remove.scroll_into_view_if_needed()
    expect(remove).to_be_in_viewport(ratio=0.9)
    check(page)
    page.goto(f"{live.url}/tokens")
    page.fill("#name", long)
    page.get_by_label("post alerts").check()
    page.get_by_label("read /metrics").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#secret")).to_be_focused()
    check(page)
    page.locator(f'summary[aria-label="Revoke {long} …"]').click()
    check(page)
    page.goto(f"{live.url}/account")
    check(page)
    page = visit(link.removeprefix(live.url), scheme=scheme, width=width)
    check(page)
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"://[^/]+/$"))
    check(page)
