"""Who may come in. The tests walk the app's own routes: a new one is covered by itself."""

import re

import pytest
from channels import create, fields_in, form_of
from conftest import PASSWORD, Client

from clock import now_ms
from config import Config
from models import Alert, Attempt, Channel, Delivery, Login, Token, User, db
from web.accounts.api_tokens import create_token
from web.auth.access import PERSONAL, PUBLIC, SAFE_METHODS, scope_of
from web.auth.login import own_path

ID = re.compile(r"<(?:int:)?\w+>")
LAB = "/lab/in/1"  # what it asks for stands in tests/test_lab.py


def routes(app, kind):
    """Every (method, path) of the app that is a `page`, for a `machine`, or `open`."""
    for rule in app.url_map.iter_rules():
        here = (
            "machine"
            if scope_of(app, rule.endpoint)
            else "open"
            if rule.endpoint in PUBLIC
            else "page"
        )
        if here == kind:
            path = ID.sub(
                "1", rule.rule.replace("<path:filename>", "site.css").replace("<field>", "name")
            )
            yield from ((method, path) for method in sorted(rule.methods - {"HEAD", "OPTIONS"}))


def browser(app, name="ada"):
    return Client(app, name)._client


def test_the_open_routes_are_these_and_no_others(app):
    assert {(method, path) for method, path in routes(app, "open")} == {
        *(
            ("GET", "/static/site.css"),
            ("GET", "/healthz"),
            ("GET", "/readyz"),
            ("GET", "/-/healthy"),
            ("GET", "/-/ready"),
        ),
        *(("GET", "/login"), ("POST", "/login"), ("GET", "/setup/1"), ("POST", "/setup/1")),
        *((method, LAB) for method in ("GET", "POST", "PUT", "PATCH")),
    }


def test_every_page_sends_who_is_not_known_to_the_sign_in_page_and_does_nothing(app):
    stranger, found = browser(app, ""), list(routes(app, "page"))
    assert len(found) > 30
    for method, path in found:
        response = stranger.open(path, method=method, data=form_of())
        if method == "GET":
            assert (response.status_code, response.headers["Location"].split("?")[0]) == (
                303,
                "/login",
            ), path
        else:
            assert response.status_code == 401, path
            assert 'id="password"' in response.text
    assert (Channel.select().count(), Attempt.select().count(), User.select().count()) == (0, 0, 2)


def test_every_page_tells_htmx_in_a_notice_that_the_session_has_ended(app):
    stranger = browser(app, "")
    for method, path in routes(app, "page"):
        response = stranger.open(
            path, method=method, data=form_of(), headers={"HX-Request": "true"}
        )
        assert (response.status_code, response.headers["HX-Retarget"]) == (401, "#notice"), path
        assert "<!doctype" not in response.text
        assert "What you typed is still here" in response.text


def test_every_unsafe_page_refuses_without_a_csrf_token(app):
    client = Client(app)
    create(client)
    unsafe = [
        (method, path)
        for kind in ("page", "open")
        for method, path in routes(app, kind)
        if method not in SAFE_METHODS
    ]
    for method, path in [one for one in unsafe if one[1] != LAB]:
        for data in (form_of(), {"csrf_token": "forged"}):
            response = client._client.open(path, method=method, data=data)
            assert response.status_code == 400, path
            assert "has expired" in response.text
    assert (Channel.select().count(), Login.select().count(), User.select().count()) == (1, 2, 2)


def test_every_unsafe_route_refuses_what_another_website_sends(app):
    client = Client(app)
    create(client)
    for kind in ("page", "open", "machine"):
        for method, path in routes(app, kind):
            if method not in SAFE_METHODS and path != LAB:
                headers = {"Sec-Fetch-Site": "cross-site"}
                response = client._client.open(
                    path, method=method, data={"csrf_token": client.token}, headers=headers
                )
                assert (response.status_code, "Another website" in response.text) == (403, True), (
                    path
                )
    assert Channel.select().count() == 1


def test_a_link_on_another_website_may_lead_here(client):
    assert client.get("/channels", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_every_route_for_machines_refuses_without_a_token_of_its_scope(app):
    with app.app_context():
        _, of_no_use = create_token("others", ["ingest"], None, "", now_ms())
        _, metrics = create_token("metrics", ["metrics"], None, "", now_ms())
    found = list(routes(app, "machine"))
    for method, path in found:
        url = app.url_map.bind("localhost").match(path, method=method)[0]
        wrong = metrics if scope_of(app, url) != "metrics" else of_no_use
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            ({"Authorization": "Bearer"}, 401),
            ({"Authorization": f"Bearer {wrong}"}, 403),
        ):
            response = browser(app).open(path, method=method, json={}, headers=headers)
            assert response.status_code == status, (path, headers)
            assert response.mimetype == "application/problem+json"
            assert response.json["status"] == status
            assert (response.headers.get("WWW-Authenticate", "").startswith("Bearer")) == (
                status == 401
            )


def test_a_viewer_sees_every_page_and_changes_nothing(app, client, viewer, receiver):
    channel_id = create(client, url=f"{receiver.url}?key=s3cr3t-of-the-url")
    told = Alert.create(
        key="k", name="Disk full", status="open", body="{}", changed_at=1, seen_at=1
    )
    row = {"event": "open", "state": "failed", "due_at": 1, "expires_at": 1, "created_at": 1}
    Delivery.create(id=1, channel=channel_id, alert=told, **row)
    users, logins = User.select().count(), Login.select().count()
    for method, path in routes(app, "page"):
        endpoint = app.url_map.bind("localhost").match(path, method=method)[0]
        if method in SAFE_METHODS:
            expected = (
                403
                if endpoint in ("channels.new", "channels.confirm_delete")
                else 302
                if path == "/"
                else 200
            )
            response = viewer.get(path)
            assert response.status_code == expected, path
            assert "s3cr3t" not in response.text
        elif endpoint not in PERSONAL:
            response = viewer.post(path, form_of(receiver.url))
            assert (response.status_code, "viewer" in response.text) == (403, True), path
    assert not receiver.requests
    assert [channel.id for channel in Channel.select()] == [channel_id]
    assert (User.select().count(), Login.select().count(), Token.select().count()) == (
        users,
        logins,
        0,
    )


def test_a_viewer_sees_the_form_without_a_button_and_with_the_url_masked(client, viewer):
    channel_id = create(
        client,
        "https://hooks.example.com/services/t0ken",
        auth="bearer",
        auth_secret="s3cr3t-bearer",
    )
    page = viewer.get(f"/channels/{channel_id}/edit").text
    assert '<fieldset class="whole" disabled>' in page
    assert fields_in(page)["url"] == "https://hooks.example.com/…"
    assert 'hx-post="/channels/1/test"' not in page
    assert "t0ken" not in page


def test_an_account_that_is_gone_is_signed_out(app, client):
    User.delete().where(User.name == "ada").execute()
    assert client.get("/channels").status_code == 303


# --- what was typed ---------------------------------------------------------------------------------------------------


def test_what_was_typed_when_the_session_ended_comes_back_after_the_sign_in_secrets_too(
    app, client
):
    channel_id = create(client, name="Before")
    form = form_of(
        name="Typed name", payload="[42]", auth="bearer", auth_secret="s3cr3t-typed", version="1"
    )
    Login.delete().execute()
    refused = client.post(f"/channels/{channel_id}", form)
    assert (refused.status_code, "s3cr3t" in refused.text) == (401, False)
    kept = re.search(r'name="typed" value="([^"]+)"', refused.text)[1]
    back = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": kept})
    assert (back.status_code, "s3cr3t" in back.text) == (200, False)
    assert "Your edit is below" in back.text
    typed = fields_in(back.text)
    assert (typed["name"], typed["payload"]) == ("Typed name", "[42]")
    assert Channel.get().name == "Before"
    client.token = typed["csrf_token"]
    assert client.post(f"/channels/{channel_id}", typed).status_code == 303
    stored = fields_in(client.get(f"/channels/{channel_id}/edit").text)
    assert stored["name"] == "Typed name"


def test_a_wrong_password_in_between_loses_nothing_either(app, client):
    Login.delete().execute()
    kept = re.search(
        r'name="typed" value="([^"]+)"', client.post("/channels", form_of(name="Typed name")).text
    )[1]
    wrong = client.post("/login", {"username": "ada", "password": "wrong", "typed": kept})
    assert wrong.status_code == 401
    assert f'name="typed" value="{kept}"' in wrong.text


def test_what_was_typed_for_a_channel_that_was_deleted_meanwhile_comes_back_as_a_new_one(
    app, client
):
    channel_id = create(client)
    Login.delete().execute()
    kept = re.search(
        r'name="typed" value="([^"]+)"',
        client.post(f"/channels/{channel_id}", form_of(name="Typed")).text,
    )[1]
    Channel.delete().execute()
    back = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": kept})
    assert fields_in(back.text)["name"] == "Typed"


def test_what_a_viewer_may_not_save_does_not_come_back_to_one(app, client):
    Login.delete().execute()
    kept = re.search(r'name="typed" value="([^"]+)"', client.post("/channels", form_of()).text)[1]
    response = client.post("/login", {"username": "vera", "password": PASSWORD, "typed": kept})
    assert response.status_code == 303


@pytest.mark.parametrize("kept", ["", "nonsense", "gAAAAABnonsense"])
def test_a_sealed_edit_that_cannot_be_opened_is_as_good_as_none(stranger, client, kept):
    response = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": kept})
    assert response.status_code == 303


def test_a_form_that_is_too_large_is_told_so_to_who_is_not_known_too(app):
    assert browser(app, "").post("/channels", data={"payload": "a" * 2_000_000}).status_code == 413


# --- next --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/channels",
        "/channels/3/edit",
        "/channels/new?kind=slack",
        "/tokens?x=http://elsewhere.example/",
        "/a:b",
    ],
)
def test_next_may_be_a_path_on_this_site(path):
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "channels",
            "//elsewhere.example",
            "///elsewhere.example",
            "/\\elsewhere.example",
            "\\\\elsewhere.example",
        ),
        *(
            "https://elsewhere.example/",
            "javascript:alert(1)",
            "http:/channels",
            " /channels",
            "/\t/elsewhere.example",
        ),
        *(
            "/\n/elsewhere.example",
            "//[",
            "https:///elsewhere.example",
            "/ch\x00annels",
            "data:text/html,x",
            "/\u2028",
        ),
    ],
)
def test_next_leads_nowhere_else(path):
    assert own_path(path) == ""


def test_who_comes_from_a_page_gets_back_to_it(app, stranger):
    where = stranger.get("/channels/new?kind=slack").headers["Location"]
    page = stranger.get(where).text
    assert 'name="next" value="/channels/new?kind=slack"' in page
    stranger.token = re.search(r'csrf_token" value="([^"]+)"', page)[1]
    answer = stranger.post(
        "/login", {"username": "ada", "password": PASSWORD, "next": "/channels/new?kind=slack"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/channels/new?kind=slack")


def test_a_next_that_leads_elsewhere_leads_home(app, stranger):
    page = stranger.get("/login?next=//elsewhere.example").text
    assert "elsewhere" not in page
    stranger.token = re.search(r'csrf_token" value="([^"]+)"', page)[1]
    answer = stranger.post(
        "/login", {"username": "ada", "password": PASSWORD, "next": "//elsewhere.example"}
    )
    assert answer.headers["Location"] == "/"


# --- hosts and headers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "192.0.2.7:8000", "[::1]", "[2001:db8::1]:8000"],
)
def test_a_page_may_be_asked_for_by_an_address_or_by_our_name(stranger, host):
    assert stranger.get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "2130706433", ""]
)
def test_a_page_is_not_served_under_a_name_that_is_not_ours(client, host):
    response = client.get("/channels", headers={"Host": host})
    assert (response.status_code, "TOCSIN_PUBLIC_URL" in response.text) == (400, True)


@pytest.fixture
def public(tmp_path, compiled):
    """An app that people reach as https://tocsin.example, behind a proxy at 192.0.2.1."""
    from app import create_app

    environment = {
        "TOCSIN_DATA_DIR": str(tmp_path / "public"),
        "TOCSIN_PUBLIC_URL": "https://tocsin.example",
    }
    app = create_app(
        Config.from_env({**environment, "TOCSIN_TRUSTED_PROXIES": "192.0.2.0/24, ::1"})
    )
    app.jinja_env.bytecode_cache = compiled
    yield app
    db.close()


def test_by_https_the_cookie_is_locked_to_this_host_and_https_is_demanded(public):
    response = public.test_client().get("/login", base_url="https://tocsin.example")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-tocsin_8000=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


def test_by_http_the_cookie_has_its_plain_name_and_nothing_is_demanded(public, client):
    response = public.test_client().get("/login", base_url="http://127.0.0.1:8000")
    assert response.headers["Set-Cookie"].startswith("tocsin_8000=")
    assert "Secure" not in response.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in response.headers


def test_the_public_name_counts_as_https_behind_a_proxy_that_is_not_trusted(public):
    response = public.test_client().get(
        "/login", base_url="http://tocsin.example", environ_base={"REMOTE_ADDR": "198.51.100.9"}
    )
    assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "path", ["/login", "/channels", "/channels/new", "/nowhere", "/healthz", "/static/site.css"]
)
def test_every_answer_has_the_protecting_headers(client, path):
    with client.get(path) as response:
        headers = response.headers
    policy = headers["Content-Security-Policy"]
    assert (
        "script-src 'self' https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js;" in policy
    )
    assert {
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    } <= set(policy.split("; "))
    expected = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    assert {name: headers[name] for name in expected} == expected
    assert ("no-store" in headers.get("Cache-Control", "")) == (path != "/static/site.css")


def test_an_answer_that_changes_nothing_of_the_session_leaves_its_cookie_alone(app, client):
    with client._client.session_transaction() as session:
        session.permanent = True
    client.post("/channels/new/validate/name", form_of(), htmx=True)
    assert (
        "Set-Cookie" not in client.post("/channels/new/validate/name", form_of(), htmx=True).headers
    )
    assert "Set-Cookie" not in client.get("/channels").headers


# --- the proxy ---------------------------------------------------------------------------------------------------------


def seen_by(app, address, path="/account", **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = "http://127.0.0.1:8000"
    return app.test_client().get(
        path, base_url=url, headers=given, environ_base={"REMOTE_ADDR": address}
    )


def test_a_person_whom_a_trusted_proxy_names_is_signed_in(public):
    response = seen_by(public, "192.0.2.1", Remote_User="Grace")
    assert (response.status_code, "<h1>Grace</h1>" in response.text) == (200, True)
    assert "Sign out" not in response.text
    assert User.named("grace").role == "viewer"


def test_a_name_in_utf8_is_read_as_such(public):
    header = "Zoë".encode().decode("latin-1")
    assert "Zoë" in seen_by(public, "::1", Remote_User=header).text


@pytest.mark.parametrize("address", ["192.0.3.1", "127.0.0.1", "::2", "", "nonsense"])
def test_the_header_of_anybody_else_counts_for_nothing(public, address):
    assert seen_by(public, address, Remote_User="admin").status_code == 303
    assert not User.select().count()


@pytest.mark.parametrize("name", ["x" * 65, "a:b", "a\x01b"])
def test_a_name_that_cannot_be_an_account_is_refused_in_words(public, name):
    response = seen_by(public, "192.0.2.1", Remote_User=name)
    assert (response.status_code, "The proxy in front of Tocsin" in response.text) == (403, True)


def test_only_a_trusted_proxy_says_how_and_from_where_it_was_asked(public):
    forwarded = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "tocsin.example",
        "X_Forwarded_For": "203.0.113.5",
    }
    assert "Secure" in seen_by(public, "192.0.2.1", "/login", **forwarded).headers["Set-Cookie"]
    assert (
        "Secure" not in seen_by(public, "198.51.100.1", "/login", **forwarded).headers["Set-Cookie"]
    )
    evil = {**forwarded, "X_Forwarded_Host": "evil.example"}
    assert seen_by(public, "192.0.2.1", "/login", **evil).status_code == 400


# --- pace --------------------------------------------------------------------------------------------------------------


def test_a_script_that_runs_wild_is_slowed_down_and_a_person_never_is(client, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("web.auth.access.time.monotonic", lambda: now[0])
    statuses = [client._client.get("/account").status_code for _ in range(301)]
    assert statuses == [200] * 300 + [429]
    refused = client._client.get("/account")
    assert refused.headers["Retry-After"] == "1"
    now[0] += 1.01
    assert client._client.get("/account").status_code == 200
