"""The pages of users and tokens: set-up, invitations, sessions, roles, passwords."""

import html
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from channels import form_of
from conftest import PASSWORD, Client
from markup import token_in

from clock import DAY, MINUTE, now_ms
from models import Channel, Guess, Invitation, Login, Token, User, db
from web.accounts import users
from web.accounts.api_tokens import SCOPES, create_token

NEW = "another four bells"
NOW = 1_790_000_000_000


def link_in(html):
    return re.search(r'value="http://127\.0\.0\.1:8000(/setup/[^"]+)"', html)[1]


def user_id(name):
    return User.named(name).id


def sign_in(app, name, password):
    """Sign in through the page; return the browser and the response."""
    browser = Client(app, "")
    return browser, browser.post("/login", {"username": name, "password": password})


def copied(client):
    """Return another browser with the same cookies, as a thief would have."""
    other = Client(client._client.application, "")
    other._client._cookies = dict(client._client._cookies)
    return other


# --- the first account ----------------------------------------------------------------------------


def test_the_set_up_link_creates_the_first_editor_once(app):
    User.delete().execute()
    secret = users.setup_secret(now_ms())
    assert secret not in str(list(Invitation.select().dicts()))
    anonymous = Client(app, "")
    assert "Create the first account" in anonymous.get(f"/setup/{secret}").text
    created = anonymous.post(f"/setup/{secret}", {"username": "Ada", "password": NEW, "again": NEW})
    assert created.status_code == 303
    assert User.get().role == "editor"
    assert anonymous.get("/channels").status_code == 200
    anonymous.token = ""
    for other in (anonymous, Client(app, "")):
        assert other.get(f"/setup/{secret}").status_code == 404
        assert (
            other.post(
                f"/setup/{secret}", {"username": "Eve", "password": NEW, "again": NEW}
            ).status_code
            == 404
        )
    assert User.select().count() == 1
    assert users.setup_secret(now_ms()) == ""


def test_a_new_set_up_link_replaces_the_older_one(app):
    User.delete().execute()
    old = users.setup_secret(now_ms())
    new = users.setup_secret(now_ms())
    assert [Client(app, "").get(f"/setup/{secret}").status_code for secret in (old, new)] == [
        404,
        200,
    ]


def test_a_set_up_link_is_invalid_once_an_editor_can_sign_in(app):
    User.delete().execute()
    secret = users.setup_secret(now_ms())
    newcomer = users.add("admin", "editor", now_ms())
    assert Client(app, "").get(f"/setup/{secret}").status_code == 200
    users.set_password(newcomer, "a hash")
    assert Client(app, "").get(f"/setup/{secret}").status_code == 404


def test_an_editor_who_never_signed_in_does_not_count_as_another_editor(client):
    client.post("/people", {"name": "grace", "role": "editor"})
    assert client.post(f"/people/{user_id('ada')}/role", {"role": "viewer"}).status_code == 422


def test_without_any_account_the_sign_in_page_explains_where_the_set_up_link_is(app):
    assert "There is no account yet" not in Client(app, "").get("/login").text
    User.delete().execute()
    assert "There is no account yet" in Client(app, "").get("/login").text


@pytest.mark.parametrize(
    ("form", "message"),
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
def test_an_invalid_first_account_is_refused_and_the_link_stays_valid(app, form, message):
    User.delete().execute()
    secret = users.setup_secret(now_ms())
    anonymous = Client(app, "")
    refused = anonymous.post(f"/setup/{secret}", form)
    assert (refused.status_code, message in refused.text) == (422, True)
    assert form.get("password", NEW) not in refused.text
    assert anonymous.get(f"/setup/{secret}").status_code == 200


# --- sessions -------------------------------------------------------------------------------------


def test_sign_in_starts_a_session_stored_as_a_hash(app):
    Login.delete().execute()
    browser, response = sign_in(app, "ada", PASSWORD)
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert browser.get("/channels").status_code == 200
    with browser._client.session_transaction() as session:
        assert session["login"] not in str(list(Login.select().dicts()))
    assert Login.get().user.name == "ada"
    assert browser.get("/login").status_code == 302


def test_sign_out_invalidates_every_copy_of_the_cookie(app, client):
    thief = copied(client)
    assert thief.get("/channels").status_code == 200
    out = client.post("/logout")
    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert client.get("/channels").status_code == 303
    assert thief.get("/channels").status_code == 303


def test_a_new_password_ends_all_other_sessions(app, client):
    other, _ = sign_in(app, "ada", PASSWORD)
    thief = copied(client)
    changed = client.post("/account", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert changed.status_code == 303
    assert client.get("/channels").status_code == 200
    assert [browser.get("/channels").status_code for browser in (other, thief)] == [303, 303]
    assert [sign_in(app, "ada", password)[1].status_code for password in (PASSWORD, NEW)] == [
        401,
        303,
    ]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"old": "wrong", "password": NEW, "again": NEW}, "The current password is wrong."),
        ({"old": PASSWORD, "password": NEW, "again": "x"}, "The two passwords differ"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "at least 8"),
        ({}, "The current password is wrong."),
    ],
)
def test_an_invalid_password_change_is_refused_and_changes_nothing(app, client, form, message):
    refused = client.post("/account", form)
    assert (refused.status_code, message in refused.text) == (422, True)
    assert sign_in(app, "ada", PASSWORD)[1].status_code == 303


def test_wrong_current_passwords_count_as_guesses(app, client):
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
def test_a_session_expires_two_weeks_after_the_last_visit_or_after_ninety_days(app, visits, known):
    secret = users.start_session(User.named("ada"), NOW)
    assert bool([users.session_user(secret, NOW + at) for at in visits][-1]) == known


def test_a_visit_is_stored_at_most_every_five_minutes(app):
    secret = users.start_session(User.named("ada"), NOW)
    users.session_user(secret, NOW + 4 * MINUTE)
    assert User.named("ada").seen_at == NOW
    users.session_user(secret, NOW + 6 * MINUTE)
    assert User.named("ada").seen_at == NOW + 6 * MINUTE


def test_expired_sessions_are_deleted(app):
    for number in range(3):
        users.start_session(User.named("vera"), NOW + number)
    users.start_session(User.named("vera"), now_ms() + 100 * DAY)
    assert Login.select().count() == 1


@pytest.mark.parametrize("cookie", ["", "nonsense", "eyJsb2dpbiI6ICJ4In0.x.y", "\x00", "a" * 4000])
def test_an_invalid_cookie_signs_nobody_in(app, cookie):
    browser = app.test_client()
    browser.set_cookie("tocsin_8000", cookie)
    assert browser.get("/channels").status_code == 303


# --- users ----------------------------------------------------------------------------------------


def test_a_new_user_chooses_a_password_with_a_link_that_works_once(app, client):
    page = client.post("/people", {"name": "Grace", "role": "editor"})
    path = link_in(page.text)
    newcomer = Client(app, "")
    assert "/setup/" not in client.get("/people").text
    assert "Choose a password, Grace" in newcomer.get(path).text
    assert (
        newcomer.post(path, {"password": NEW, "again": NEW, "username": "Eve"}).status_code == 303
    )
    assert (User.named("Grace").role, User.named("Eve")) == ("editor", None)
    assert newcomer.get("/channels/new").status_code == 200
    assert Client(app, "").get(path).status_code == 404


def test_the_old_password_works_until_the_link_is_used(app, client):
    path = link_in(client.post(f"/people/{user_id('vera')}/link").text)
    assert sign_in(app, "vera", PASSWORD)[1].status_code == 303
    assert Client(app, "").post(path, {"password": NEW, "again": NEW}).status_code == 303
    assert [sign_in(app, "vera", text)[1].status_code for text in (PASSWORD, NEW)] == [401, 303]


def test_a_link_is_replaced_by_a_newer_link_or_a_new_password(app, client):
    first, second = (link_in(client.post(f"/people/{user_id('ada')}/link").text) for _ in range(2))
    assert [client.get(path).status_code for path in (first, second)] == [404, 200]
    client.post("/account", {"old": PASSWORD, "password": NEW, "again": NEW})
    assert client.get(second).status_code == 404


@pytest.mark.parametrize(("later", "valid"), [(3 * DAY - 1, True), (3 * DAY + 1, False)])
def test_a_link_is_valid_for_three_days(app, later, valid):
    secret = users.create_invitation(User.named("vera"), NOW)
    assert bool(users.find_invitation(secret, NOW + later)) == valid


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"name": "VERA", "role": "viewer"}, "A user named “VERA” already exists."),
        ({"name": "", "role": "viewer"}, "A name has 1 to 64"),
        ({"name": "Grace", "role": "king"}, "Choose one of the roles"),
    ],
)
def test_an_invalid_new_user_is_refused_with_a_message(client, form, message):
    refused = client.post("/people", form)
    assert (refused.status_code, message in refused.text) == (422, True)
    assert User.select().count() == 2


def test_a_new_role_applies_at_once_to_open_sessions(client, viewer):
    assert viewer.get("/channels/new").status_code == 403
    client.post(f"/people/{user_id('vera')}/role", {"role": "editor"})
    assert viewer.get("/channels/new").status_code == 200
    assert client.post(f"/people/{user_id('vera')}/role", {"role": "king"}).status_code == 422


def test_a_removed_user_is_signed_out_at_once(client, viewer):
    client.post(f"/people/{user_id('vera')}/remove")
    assert viewer.get("/channels").status_code == 303
    assert User.named("vera") is None


@pytest.mark.parametrize(("action", "form"), [("remove", {}), ("role", {"role": "viewer"})])
def test_the_last_editor_cannot_be_removed_or_made_a_viewer(client, action, form):
    refused = client.post(f"/people/{user_id('ada')}/{action}", form)
    assert (refused.status_code, "last editor" in refused.text) == (422, True)
    assert User.named("ada").role == "editor"
    client.post(f"/people/{user_id('vera')}/role", {"role": "editor"})
    assert client.post(f"/people/{user_id('ada')}/{action}", form).status_code == 303


@pytest.mark.parametrize("action", ["link", "role", "remove"])
def test_an_action_on_an_unknown_user_is_404(client, action):
    assert client.post(f"/people/999/{action}", {"role": "viewer"}).status_code == 404


def post_at_once(app, path, form, count=6):
    """Post a form from several browsers at once; return the sorted status codes."""
    clients = [Client(app) for _ in range(count)]
    for client in clients:
        client.get("/account")
        client.token = token_in(client.get("/account").text)
    together = threading.Barrier(count)

    def post(client):
        together.wait()
        try:
            return client.post(path, form).status_code
        finally:
            db.close()

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(post, clients))


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/people", {"name": "Grace", "role": "viewer"}, 200),
        ("/tokens", {"name": "Prometheus", "scope": "ingest"}, 200),
        ("/channels", form_of(name="Team db"), 303),
    ],
)
def test_of_the_same_names_posted_at_once_one_is_created(app, path, form, status):
    assert post_at_once(app, path, form) == [status] + [422] * 5


@pytest.mark.parametrize(
    ("model", "look_up", "path", "form"),
    [
        (User, "named", "/people", {"name": "Grace", "role": "viewer"}),
        (Token, "get_or_none", "/tokens", {"name": "Prometheus", "scope": "ingest"}),
        (Channel, "name_taken", "/channels", form_of(name="Team db")),
    ],
)
def test_a_name_that_was_free_a_moment_ago_is_refused_as_taken(
    client, monkeypatch, model, look_up, path, form
):
    client.post(path, form)
    monkeypatch.setattr(model, look_up, lambda *_arguments: None)
    assert client.post(path, form).status_code == 422


def test_a_set_up_link_that_is_used_several_times_at_once_creates_one_user(app):
    User.delete().execute()
    path = f"/setup/{users.setup_secret(now_ms())}"
    form = {"username": "Ada", "password": NEW, "again": NEW}
    together = threading.Barrier(4)
    browsers = [Client(app, "") for _ in range(4)]
    for browser in browsers:
        browser.token = token_in(browser.get(path).text)

    def post(browser):
        together.wait()
        try:
            return browser.post(path, form).status_code
        finally:
            db.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(post, browsers))
    assert statuses[0] == 303
    assert set(statuses[1:]) <= {404, 422}
    assert [user.name for user in User.select()] == ["Ada"]


def test_what_another_request_has_deleted_meanwhile_is_a_conflict_and_no_failure(
    client, monkeypatch
):
    vera = User.named("vera")
    monkeypatch.setattr(User, "get_or_none", lambda *_conditions: vera)
    vera.delete_instance()
    answer = client.post(f"/people/{vera.id}/link")
    assert (answer.status_code, "at the same time" in answer.text) == (409, True)


# --- tokens ---------------------------------------------------------------------------------------


TOKENS_OF_GRACE = {"read": ["channels:read", "metrics"], "post": ["ingest"], "all": list(SCOPES)}


def create_tokens(client):
    """Create the editor Grace and her tokens, and a token of the command."""
    client.post("/people", {"name": "Grace", "role": "editor"})
    for name, scopes in TOKENS_OF_GRACE.items():
        create_token(name, scopes, None, "Grace", now_ms())
    create_token("monitoring", ["ingest"], None, users.THE_COMMAND, now_ms())


@pytest.mark.parametrize(
    ("action", "form", "revoked", "left"),
    [
        ("remove", {}, "all, post, read", {"monitoring"}),
        ("role", {"role": "viewer"}, "all, post", {"monitoring", "read"}),
    ],
)
def test_the_tokens_of_a_user_end_with_what_the_user_may_do(client, action, form, revoked, left):
    create_tokens(client)
    assert "all, post, read" in client.get("/people").text
    client.post(f"/people/{user_id('Grace')}/{action}", form)
    sentence = f"These tokens of the user are revoked: {revoked}."
    assert sentence in client.get("/people").text
    assert {token.name for token in Token.select()} == left


def test_the_tokens_of_an_editor_who_stays_an_editor_stay(client):
    create_tokens(client)
    client.post(f"/people/{user_id('Grace')}/role", {"role": "editor"})
    client.post(f"/people/{user_id('vera')}/remove")
    assert Token.select().count() == 4


def test_a_refused_removal_revokes_nothing(client):
    create_token("mine", ["ingest"], None, "ada", now_ms())
    for action in ("remove", "role"):
        form = {"role": "viewer"}
        assert client.post(f"/people/{user_id('ada')}/{action}", form).status_code == 422
    assert Token.select().count() == 1


def test_a_token_whose_creator_was_removed_earlier_is_marked(client):
    create_tokens(client)
    assert "no longer a user" not in client.get("/tokens").text
    User.delete().where(User.name == "Grace").execute()
    assert client.get("/tokens").text.count("no longer a user") == 3


def test_no_user_can_have_the_name_that_owns_the_tokens_of_the_command(client):
    refused = client.post("/people", {"name": "The Command", "role": "viewer"})
    assert (refused.status_code, "choose another name" in refused.text) == (422, True)


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
    ("form", "message"),
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
def test_an_invalid_token_is_refused_with_a_message_and_the_form_is_kept(client, form, message):
    client.post("/tokens", {"name": "taken", "scope": "ingest"})
    refused = client.post("/tokens", form)
    assert (refused.status_code, message in html.unescape(refused.text)) == (422, True)
    assert f'name="name" type="text" value="{form["name"]}"' in refused.text
    assert Token.select().count() == 1
    assert not Guess.select().count()
