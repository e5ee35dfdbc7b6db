"""Accounts: the first one, links that are good once, roles, passwords, and sessions that end when they are ended."""

import html
import re

import pytest
from conftest import PASSWORD, Client

from clock import DAY, MINUTE, now_ms
from models import Guess, Invitation, Login, Token, User
from web.accounts import users

NEW = "another four bells"
NOW = 1_790_000_000_000


def link_in(html):
    return re.search(r'value="http://127\.0\.0\.1:8000(/setup/[^"]+)"', html)[1]


def user_id(name):
    return User.named(name).id


def sign_in(app, name, password):
    """A browser that signs in by the page, and the answer."""
    browser = Client(app, "")
    return browser, browser.post("/login", {"username": name, "password": password})


def copied(client):
    """Another browser with the same cookies: what somebody has who copied them."""
    other = Client(client._client.application, "")
    other._client._cookies = dict(client._client._cookies)
    return other


# --- the first account --------------------------------------------------------------------------------------------------


def test_the_set_up_link_makes_the_first_editor_once(app):
    User.delete().execute()
    secret = users.setup_secret(now_ms())
    assert secret not in str(list(Invitation.select().dicts()))
    stranger = Client(app, "")
    assert "Create the first account" in stranger.get(f"/setup/{secret}").text
    made = stranger.post(f"/setup/{secret}", {"username": "Ada", "password": NEW, "again": NEW})
    assert made.status_code == 303
    assert User.get().role == "editor"
    assert stranger.get("/channels").status_code == 200
    stranger.token = ""
    for other in (stranger, Client(app, "")):
        assert other.get(f"/setup/{secret}").status_code == 404
        assert (
            other.post(
                f"/setup/{secret}", {"username": "Eve", "password": NEW, "again": NEW}
            ).status_code
            == 404
        )
    assert User.select().count() == 1
    assert users.setup_secret(now_ms()) == ""


def test_a_fresh_set_up_link_ends_the_one_before(app):
    User.delete().execute()
    old, new = users.setup_secret(now_ms()), users.setup_secret(now_ms())
    assert [Client(app, "").get(f"/setup/{secret}").status_code for secret in (old, new)] == [
        404,
        200,
    ]


def test_a_set_up_link_is_dead_as_soon_as_there_is_an_editor_who_can_come_in(app):
    User.delete().execute()
    secret = users.setup_secret(now_ms())
    newcomer = users.add("admin", "editor", now_ms())
    assert Client(app, "").get(f"/setup/{secret}").status_code == 200
    users.set_password(newcomer, "a hash")
    assert Client(app, "").get(f"/setup/{secret}").status_code == 404


def test_an_editor_who_never_came_in_does_not_count_as_the_last_one(client):
    client.post("/people", {"name": "grace", "role": "editor"})
    assert client.post(f"/people/{user_id('ada')}/role", {"role": "viewer"}).status_code == 422


def test_while_nobody_has_an_account_the_sign_in_page_says_where_the_link_is(app):
    assert "There is no account yet" not in Client(app, "").get("/login").text
    User.delete().execute()
    assert "There is no account yet" in Client(app, "").get("/login").text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"username": "", "password": NEW, "again": NEW}, "A name has 1 to 64 visible characters"),
        ({"username": "x" * 65, "password": NEW, "again": NEW}, "A name has 1 to 64"),
        ({"username": "a\x01", "password": NEW, "again": NEW}, "A name has 1 to 64"),
        ({"username": "a:b", "password": NEW, "again": NEW}, "no colon"),
        ({"username": "Ada", "password": "short", "again": "short"}, "at least 8"),
        ({"username": "Ada", "password": NEW, "again": "not the same"}, "The two passwords differ"),
        ({"username": "Ada", "password": NEW, "again": ""}, "The two passwords differ"),
        ({}, "at least 8"),
    ],
)
def test_what_is_wrong_with_a_first_account_is_said_and_the_link_stays_good(app, form, words):
    User.delete().execute()
    secret, stranger = users.setup_secret(now_ms()), Client(app, "")
    refused = stranger.post(f"/setup/{secret}", form)
    assert (refused.status_code, words in refused.text) == (422, True)
    assert form.get("password", NEW) not in refused.text
    assert stranger.get(f"/setup/{secret}").status_code == 200


# --- sessions -----------------------------------------------------------------------------------------------------------


def test_signing_in_begins_a_session_that_the_database_knows_by_its_hash_alone(app):
    Login.delete().execute()
    browser, answer = sign_in(app, "ada", PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert browser.get("/channels").status_code == 200
    with browser._client.session_transaction() as session:
        assert session["login"] not in str(list(Login.select().dicts()))
    assert Login.get().user.name == "ada"
    assert browser.get("/login").status_code == 302


def test_a_cookie_is_dead_after_the_sign_out_wherever_a_copy_of_it_is(app, client):
    thief = copied(client)
    assert thief.get("/channels").status_code == 200
    out = client.post("/logout")
    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert client.get("/channels").status_code == 303
    assert thief.get("/channels").status_code == 303


def test_a_change_of_the_password_ends_every_session_but_the_one_that_changed_it(app, client):
    other, _ = sign_in(app, "ada", PASSWORD)
    thief = copied(client)
    changed = client.post("/account", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert changed.status_code == 303
    assert client.get("/channels").status_code == 200
    assert [one.get("/channels").status_code for one in (other, thief)] == [303, 303]
    assert [sign_in(app, "ada", password)[1].status_code for password in (PASSWORD, NEW)] == [
        401,
        303,
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"old": "wrong", "password": NEW, "again": NEW}, "The current password is wrong."),
        ({"old": PASSWORD, "password": NEW, "again": "x"}, "The two passwords differ"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "at least 8"),
        ({}, "The current password is wrong."),
    ],
)
def test_what_is_wrong_with_a_change_of_the_password_is_said_and_nothing_changes(
    app, client, form, words
):
    refused = client.post("/account", form)
    assert (refused.status_code, words in refused.text) == (422, True)
    assert sign_in(app, "ada", PASSWORD)[1].status_code == 303


def test_guesses_of_the_old_password_are_counted_too(app, client):
    for _ in range(15):
        client.post("/account", {"old": "wrong", "password": NEW, "again": NEW})
    refused = client.post("/account", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert "Too many attempts" in refused.text


@pytest.mark.parametrize(
    ("visits", "known"),
    [
        ([13 * DAY], True),
        ([15 * DAY], False),
        ([13 * DAY * number for number in range(1, 7)], True),
        ([13 * DAY * number for number in range(1, 8)], False),
        ([-DAY], True),
    ],
)
def test_a_session_lasts_two_weeks_after_the_last_visit_and_ninety_days_at_most(app, visits, known):
    secret = users.start_session(User.named("ada"), NOW)
    assert bool([users.session_user(secret, NOW + at) for at in visits][-1]) == known


def test_a_visit_is_written_down_every_five_minutes_at_most(app):
    secret = users.start_session(User.named("ada"), NOW)
    users.session_user(secret, NOW + 4 * MINUTE)
    assert User.named("ada").seen_at == NOW
    users.session_user(secret, NOW + 6 * MINUTE)
    assert User.named("ada").seen_at == NOW + 6 * MINUTE


def test_sessions_that_are_over_are_swept_away(app):
    for number in range(3):
        users.start_session(User.named("vera"), NOW + number)
    users.start_session(User.named("vera"), now_ms() + 100 * DAY)
    assert Login.select().count() == 1


@pytest.mark.parametrize("cookie", ["", "nonsense", "eyJsb2dpbiI6ICJ4In0.x.y", "\x00", "a" * 4000])
def test_a_cookie_that_is_not_ours_is_nobody(app, cookie):
    browser = app.test_client()
    browser.set_cookie("tocsin_8000", cookie)
    assert browser.get("/channels").status_code == 303


# --- people -------------------------------------------------------------------------------------------------------------


def test_somebody_new_chooses_a_password_by_a_link_that_is_good_once(app, client):
    page = client.post("/people", {"name": "Grace", "role": "editor"})
    path, newcomer = link_in(page.text), Client(app, "")
    assert "/setup/" not in client.get("/people").text
    assert "Choose a password, Grace" in newcomer.get(path).text
    assert (
        newcomer.post(path, {"password": NEW, "again": NEW, "username": "Eve"}).status_code == 303
    )
    assert (User.named("Grace").role, User.named("Eve")) == ("editor", None)
    assert newcomer.get("/channels/new").status_code == 200
    assert Client(app, "").get(path).status_code == 404


def test_a_link_for_a_new_password_keeps_the_old_one_until_it_is_used(app, client):
    path = link_in(client.post(f"/people/{user_id('vera')}/link").text)
    assert sign_in(app, "vera", PASSWORD)[1].status_code == 303
    assert Client(app, "").post(path, {"password": NEW, "again": NEW}).status_code == 303
    assert [sign_in(app, "vera", one)[1].status_code for one in (PASSWORD, NEW)] == [401, 303]


def test_a_second_link_ends_the_first_and_a_change_of_the_password_ends_both(app, client):
    first, second = (link_in(client.post(f"/people/{user_id('ada')}/link").text) for _ in range(2))
    assert [client.get(path).status_code for path in (first, second)] == [404, 200]
    client.post("/account", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert client.get(second).status_code == 404


@pytest.mark.parametrize(("later", "good"), [(3 * DAY - 1, True), (3 * DAY + 1, False)])
def test_a_link_is_good_for_three_days(app, later, good):
    secret = users.create_invitation(User.named("vera"), NOW)
    assert bool(users.find_invitation(secret, NOW + later)) == good


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "VERA", "role": "viewer"}, "A user named “VERA” already exists."),
        ({"name": "", "role": "viewer"}, "A name has 1 to 64"),
        ({"name": "Grace", "role": "king"}, "Choose one of the roles"),
    ],
)
def test_who_cannot_be_added_is_said_in_words(client, form, words):
    refused = client.post("/people", form)
    assert (refused.status_code, words in refused.text) == (422, True)
    assert User.select().count() == 2


def test_a_role_changes_at_once_also_for_who_is_signed_in(client, viewer):
    assert viewer.get("/channels/new").status_code == 403
    client.post(f"/people/{user_id('vera')}/role", {"role": "editor"})
    assert viewer.get("/channels/new").status_code == 200
    assert client.post(f"/people/{user_id('vera')}/role", {"role": "king"}).status_code == 422


def test_whoever_is_removed_is_signed_out_at_once(client, viewer):
    client.post(f"/people/{user_id('vera')}/remove")
    assert viewer.get("/channels").status_code == 303
    assert User.named("vera") is None


@pytest.mark.parametrize(("action", "form"), [("remove", {}), ("role", {"role": "viewer"})])
def test_the_last_editor_stays_one(client, action, form):
    refused = client.post(f"/people/{user_id('ada')}/{action}", form)
    assert (refused.status_code, "last editor" in refused.text) == (422, True)
    assert User.named("ada").role == "editor"
    client.post(f"/people/{user_id('vera')}/role", {"role": "editor"})
    assert client.post(f"/people/{user_id('ada')}/{action}", form).status_code == 303


@pytest.mark.parametrize("action", ["link", "role", "remove"])
def test_nobody_is_changed_who_is_not_there(client, action):
    assert client.post(f"/people/999/{action}", {"role": "viewer"}).status_code == 404


# --- tokens -------------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_stored_as_a_hash(client):
    page = client.post(
        "/tokens", {"name": "Prometheus", "scope": ["ingest", "metrics"], "days": "30"}
    )
    secret = re.search(r'value="(tocsin_[\w-]{43})"', page.text)[1]
    token = Token.get()
    assert (token.scopes, token.made_by, token.expires_at - token.created_at) == (
        "ingest metrics",
        "ada",
        30 * DAY,
    )
    assert secret not in str(token.__data__)
    again = client.get("/tokens").text
    assert secret not in again
    assert "Prometheus" in again
    assert client.post(f"/tokens/{token.id}/revoke").status_code == 303
    assert not Token.select().count()
    assert client.post(f"/tokens/{token.id}/revoke").status_code == 404


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "scope": "ingest"}, "A token's name has 1 to 64"),
        ({"name": "x"}, "Choose at least one scope"),
        ({"name": "x", "scope": ["ingest", "everything"]}, "Choose at least one scope"),
        ({"name": "x", "scope": "ingest", "days": "0"}, "A token expires after 1 to 3650 days"),
        ({"name": "x", "scope": "ingest", "days": "many"}, "a whole number"),
        ({"name": "x", "scope": "ingest", "days": "٣"}, "a whole number"),
        ({"name": "taken", "scope": "ingest"}, "A token named “taken” already exists."),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_words_and_what_was_typed_stays(client, form, words):
    client.post("/tokens", {"name": "taken", "scope": "ingest"})
    refused = client.post("/tokens", form)
    assert (refused.status_code, words in html.unescape(refused.text)) == (422, True)
    assert f'name="name" type="text" value="{form["name"]}"' in refused.text
    assert Token.select().count() == 1
    assert not Guess.select().count()
