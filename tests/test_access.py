"""Access control. The tests walk the app's routes, so that a new route is covered too."""

import contextlib
import html
import re
import socket

import pytest
import requests
from channels import create, fields_in, form_of
from conftest import PASSWORD, Client, Live
from markup import token_in

from clock import now_ms
from config import Config
from delivery import outbox
from delivery.log.log_filter import LogFilter
from models import Alert, Attempt, Channel, Delivery, Guess, Login, Token, User, db
from web.accounts import users
from web.accounts.api_tokens import SCOPES, create_token
from web.auth.access import EDITOR_PAGES, OPEN, PERSONAL, PUBLIC, SAFE_METHODS, scopes_of
from web.auth.login import own_path
from web.auth.proxy import client_address

ID = re.compile(r"<(?:int:)?\w+>")
LAB = "/lab/in/1"  # see tests/test_lab.py


def routes(app, kind):
    """Yield (method, path) of every route of a kind: `page`, `machine` or `public`."""
    for rule in app.url_map.iter_rules():
        actual = "public" if rule.endpoint in PUBLIC else "page"
        if scopes_of(app, rule.endpoint):
            actual = "machine"
        if actual == kind:
            path = ID.sub(
                "1", rule.rule.replace("<path:filename>", "site.css").replace("<field>", "name")
            )
            yield from ((method, path) for method in sorted(rule.methods - {"HEAD", "OPTIONS"}))


def browser(app, name="ada"):
    return Client(app, name)._client


def test_only_these_routes_are_public(app):
    assert {(method, path) for method, path in routes(app, "public")} == {
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


def test_every_page_sends_anonymous_users_to_the_sign_in_page(app):
    anonymous = browser(app, "")
    pages = list(routes(app, "page"))
    assert len(pages) > 30
    for method, path in pages:
        response = anonymous.open(path, method=method, data=form_of())
        if method == "GET":
            assert (response.status_code, response.headers["Location"].split("?")[0]) == (
                303,
                "/login",
            ), path
        else:
            assert response.status_code == 401, path
            assert 'id="password"' in response.text
    assert (Channel.select().count(), Attempt.select().count(), User.select().count()) == (0, 0, 2)


def test_every_page_answers_htmx_with_a_notice_when_the_session_has_ended(app):
    anonymous = browser(app, "")
    for method, path in routes(app, "page"):
        response = anonymous.open(
            path, method=method, data=form_of(), headers={"HX-Request": "true"}
        )
        assert (response.status_code, response.headers["HX-Retarget"]) == (401, "#notice"), path
        assert "<!doctype" not in response.text
        assert "What you typed is still here" in response.text


def test_every_unsafe_page_requires_a_csrf_token(app):
    client = Client(app)
    create(client)
    unsafe = [
        (method, path)
        for kind in ("page", "public")
        for method, path in routes(app, kind)
        if method not in SAFE_METHODS
    ]
    for method, path in [route for route in unsafe if route[1] != LAB]:
        for data in (form_of(), {"csrf_token": "forged"}):
            response = client._client.open(path, method=method, data=data)
            assert response.status_code == 400, path
            assert "has expired" in response.text
    assert (Channel.select().count(), Login.select().count(), User.select().count()) == (1, 2, 2)


def test_every_unsafe_route_refuses_cross_site_requests(app):
    client = Client(app)
    create(client)
    for kind in ("page", "public", "machine"):
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


def test_links_from_other_websites_work(client):
    assert client.get("/channels", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_every_machine_route_requires_a_token_with_its_scope(app):
    with app.app_context():
        secrets = {}
        for scope in SCOPES:
            others = sorted({*SCOPES} - {scope})
            _, secrets[scope] = create_token(scope, others, None, "", now_ms())
        _, secrets["alerts:read or another"] = create_token("m", ["metrics"], None, "", now_ms())
    for method, path in routes(app, "machine"):
        url = app.url_map.bind("localhost").match(path, method=method)[0]
        scopes = scopes_of(app, url)
        if scopes == tuple(SCOPES):
            continue  # with any token: tests/test_openapi.py
        wrong = secrets[scopes[0]] if len(scopes) == 1 else secrets["alerts:read or another"]
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            ({"Authorization": "Bearer"}, 401),
            ({"Authorization": f"Bearer {wrong}"}, 403),
        ):
            response = browser(app).open(path, method=method, json={}, headers=headers)
            assert response.status_code == status, (path, headers)
            if path.startswith(("/api/v2/", "/t/1/api/v2/")):
                assert (response.mimetype, type(response.json)) == ("application/json", str)
            else:
                assert response.mimetype == "application/problem+json"
                assert response.json["status"] == status
            assert (response.headers.get("WWW-Authenticate", "").startswith("Bearer")) == (
                status == 401
            )


def test_a_viewer_can_open_every_page_and_change_nothing(app, client, viewer, receiver):
    channel_id = create(client, url=f"{receiver.url}?key=s3cr3t-of-the-url")
    alert = Alert.create(
        key="k", name="Disk full", status="open", body="{}", changed_at=1, seen_at=1
    )
    row = {"event": "open", "state": "failed", "due_at": 1, "expires_at": 1, "created_at": 1}
    Delivery.create(id=1, channel=channel_id, alert=alert, **row)
    outbox.start_replay(LogFilter(), "{}", outbox.ReplayChoice.ALL, "ada", 1)
    users, logins = User.select().count(), Login.select().count()
    for method, path in routes(app, "page"):
        endpoint = app.url_map.bind("localhost").match(path, method=method)[0]
        if method in SAFE_METHODS:
            expected = 403 if endpoint in EDITOR_PAGES else 200
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


def test_a_viewer_sees_the_form_without_buttons_and_with_a_masked_url(client, viewer):
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


def test_a_deleted_user_is_signed_out(app, client):
    User.delete().where(User.name == "ada").execute()
    assert client.get("/channels").status_code == 303


# --- interrupted edits ----------------------------------------------------------------------------


def test_an_edit_interrupted_by_the_end_of_a_session_is_restored_with_its_secrets(app, client):
    channel_id = create(client, name="Before")
    form = form_of(
        name="Typed name", payload="[42]", auth="bearer", auth_secret="s3cr3t-typed", version="1"
    )
    Login.delete().execute()
    refused = client.post(f"/channels/{channel_id}", form)
    assert (refused.status_code, "s3cr3t" in refused.text) == (401, False)
    sealed = re.search(r'name="typed" value="([^"]+)"', refused.text)[1]
    back = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": sealed})
    assert (back.status_code, "s3cr3t" in back.text) == (200, False)
    assert "Your edit is below" in back.text
    typed = fields_in(back.text)
    assert (typed["name"], typed["payload"]) == ("Typed name", "[42]")
    assert Channel.get().name == "Before"
    client.token = typed["csrf_token"]
    assert client.post(f"/channels/{channel_id}", typed).status_code == 303
    stored = fields_in(client.get(f"/channels/{channel_id}/edit").text)
    assert stored["name"] == "Typed name"


def test_an_interrupted_edit_survives_a_wrong_password(app, client):
    Login.delete().execute()
    sealed = re.search(
        r'name="typed" value="([^"]+)"', client.post("/channels", form_of(name="Typed name")).text
    )[1]
    wrong = client.post("/login", {"username": "ada", "password": "wrong", "typed": sealed})
    assert wrong.status_code == 401
    assert f'name="typed" value="{sealed}"' in wrong.text


def test_an_interrupted_edit_of_a_deleted_channel_is_restored_as_a_new_channel(app, client):
    channel_id = create(client)
    Login.delete().execute()
    sealed = re.search(
        r'name="typed" value="([^"]+)"',
        client.post(f"/channels/{channel_id}", form_of(name="Typed")).text,
    )[1]
    Channel.delete().execute()
    back = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": sealed})
    assert fields_in(back.text)["name"] == "Typed"


def test_an_interrupted_edit_is_not_restored_for_a_viewer(app, client):
    Login.delete().execute()
    sealed = re.search(r'name="typed" value="([^"]+)"', client.post("/channels", form_of()).text)[1]
    response = client.post("/login", {"username": "vera", "password": PASSWORD, "typed": sealed})
    assert response.status_code == 303


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAABnonsense"])
def test_an_interrupted_edit_that_cannot_be_decrypted_is_ignored(anonymous, client, sealed):
    response = client.post("/login", {"username": "ada", "password": PASSWORD, "typed": sealed})
    assert response.status_code == 303


def test_a_form_that_is_too_large_is_refused_without_a_session_too(app):
    assert browser(app, "").post("/channels", data={"payload": "a" * 2_000_000}).status_code == 413


# --- next -----------------------------------------------------------------------------------------


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
def test_next_accepts_a_path_on_this_site(path):
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
def test_next_rejects_everything_else(path):
    assert own_path(path) == ""


def test_sign_in_returns_to_the_requested_page(app, anonymous):
    where = anonymous.get("/channels/new?kind=slack").headers["Location"]
    page = anonymous.get(where).text
    assert 'name="next" value="/channels/new?kind=slack"' in page
    anonymous.token = re.search(r'csrf_token" value="([^"]+)"', page)[1]
    response = anonymous.post(
        "/login", {"username": "ada", "password": PASSWORD, "next": "/channels/new?kind=slack"}
    )
    assert (response.status_code, response.headers["Location"]) == (303, "/channels/new?kind=slack")


def test_sign_in_with_a_foreign_next_leads_home(app, anonymous):
    page = anonymous.get("/login?next=//elsewhere.example").text
    assert "elsewhere" not in page
    anonymous.token = re.search(r'csrf_token" value="([^"]+)"', page)[1]
    response = anonymous.post(
        "/login", {"username": "ada", "password": PASSWORD, "next": "//elsewhere.example"}
    )
    assert response.headers["Location"] == "/"


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**70, 10**4000])
def test_an_id_beyond_the_range_of_the_database_is_not_found(app, client, number):
    _, secret = create_token("all", list(SCOPES), None, "", now_ms())
    token = {"Authorization": f"Bearer {secret}"}
    rules = [rule for rule in app.url_map.iter_rules() if "<int:" in rule.rule]
    assert len(rules) > 25
    for rule in rules:
        path = re.sub("<int:[^>]*>", str(number), rule.rule).replace("<field>", "name")
        for method in rule.methods & {"GET", "POST", "PUT", "DELETE"}:
            send = {"GET": client.get, "POST": client.post}.get(method)
            if scopes_of(app, rule.endpoint):
                response = app.test_client().open(path, method=method, headers=token)
            else:
                response = (
                    send(path, {"role": "viewer", **form_of()}) if method == "POST" else send(path)
                )
            assert response.status_code == 404, (method, rule.rule)


@pytest.mark.parametrize("name", ["channel", "alert", "before"])
@pytest.mark.parametrize("number", [2**63, 2**70, 10**4000])
def test_a_number_in_a_query_beyond_the_range_of_the_database_is_no_failure(client, name, number):
    assert client.get(f"/deliveries?{name}={number}").status_code in (200, 404)


# --- hosts and headers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "192.0.2.7:8000", "[::1]", "[2001:db8::1]:8000"],
)
def test_pages_are_served_under_ip_addresses_and_own_names(anonymous, host):
    assert anonymous.get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "2130706433", ""]
)
def test_pages_are_not_served_under_foreign_names(client, host):
    response = client.get("/channels", headers={"Host": host})
    assert (response.status_code, "TOCSIN_PUBLIC_URL" in response.text) == (400, True)
    assert f"the host name {host!r}" in response.text


@pytest.mark.parametrize("host", ["tocsin.lan:8000", "evil.example", "2130706433", ""])
def test_probes_and_senders_may_use_any_host_name(app, anonymous, host):
    _, secret = create_token("t", ["ingest", "metrics"], None, "", now_ms())
    token = {"Authorization": f"Bearer {secret}"}
    for path in ("/healthz", "/readyz", "/-/healthy", "/-/ready", "/static/site.css", "/metrics"):
        with anonymous.get(path, headers={"Host": host, **token}) as response:
            assert response.status_code == 200, path
    headers = {"Host": host, **token}
    stored = app.test_client().post("/api/v1/alerts", json={"name": "Disk"}, headers=headers)
    assert stored.status_code == 202


def test_only_these_endpoints_answer_under_a_foreign_name(app):
    answered = set()
    for kind in ("page", "public", "machine"):
        for method, path in routes(app, kind):
            response = browser(app, "").open(path, method=method, headers={"Host": "evil.example"})
            if response.status_code != 400:
                answered.add(app.url_map.bind("").match(path, method=method)[0])
            response.close()
    machines = {rule.endpoint for rule in app.url_map.iter_rules() if scopes_of(app, rule.endpoint)}
    assert answered == {*OPEN, *machines}


@pytest.fixture
def public(tmp_path, compiled):
    """Return an app at https://tocsin.example, behind a trusted proxy at 192.0.2.1."""
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


def test_over_https_the_cookie_is_bound_to_the_host_and_hsts_is_sent(public):
    response = public.test_client().get("/login", base_url="https://tocsin.example")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-tocsin_8000=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


def test_over_http_the_cookie_has_its_plain_name_and_no_hsts_is_sent(public, client):
    response = public.test_client().get("/login", base_url="http://127.0.0.1:8000")
    assert response.headers["Set-Cookie"].startswith("tocsin_8000=")
    assert "Secure" not in response.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in response.headers


def test_the_public_name_counts_as_https_behind_an_untrusted_proxy(public):
    response = public.test_client().get(
        "/login", base_url="http://tocsin.example", environ_base={"REMOTE_ADDR": "198.51.100.9"}
    )
    assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "path", ["/login", "/channels", "/channels/new", "/nowhere", "/healthz", "/static/site.css"]
)
def test_every_response_has_the_security_headers(client, path):
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


def test_a_response_that_does_not_change_the_session_sets_no_cookie(app, client):
    with client._client.session_transaction() as session:
        session.permanent = True
    client.post("/channels/new/validate/name", form_of(), htmx=True)
    assert (
        "Set-Cookie" not in client.post("/channels/new/validate/name", form_of(), htmx=True).headers
    )
    assert "Set-Cookie" not in client.get("/channels").headers


def sign_in_through_proxy(public, host, **headers):
    """Post the sign-in form with the headers that a TLS-terminating proxy passes on."""
    browser = public.test_client()
    proxied = {"base_url": f"http://{host}", "environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    page = browser.get("/login", headers={"X-Forwarded-Proto": "https"}, **proxied)
    # A browser sends the Secure cookie to the proxy, which this client does not know.
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    form = {"csrf_token": token_in(page.text), "username": "ada", "password": "wrong"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.post(
        "/login",
        data=form,
        headers={"X-Forwarded-Proto": "https", "Cookie": cookie, **names},
        **proxied,
    )


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("tocsin.example", {"Origin": "https://tocsin.example"}),
        ("tocsin.example", {"Referer": "https://tocsin.example/login?next=/"}),
        ("tocsin.example", {"Origin": "null", "Referer": "https://tocsin.example/login"}),
        ("TOCSIN.example:443", {"Origin": "https://tocsin.example"}),
        ("192.0.2.9:8443", {"Origin": "https://192.0.2.9:8443"}),
        # TOCSIN_PUBLIC_URL names the address of the browser, whatever host the proxy passes on.
        ("127.0.0.1:8000", {"Origin": "https://tocsin.example"}),
    ],
)
def test_a_form_from_tocsins_own_address_is_accepted_over_https(public, host, headers):
    assert sign_in_through_proxy(public, host, **headers).status_code == 401


@pytest.mark.parametrize(
    ("host", "headers", "sentence"),
    [
        (
            "tocsin.example",
            {"Origin": "https://tocsin.example:8443"},
            "at https://tocsin.example:8443, but the request reached Tocsin as "
            "https://tocsin.example, ",
        ),
        (
            "127.0.0.1:8000",
            {"Referer": "https://proxy.example/login"},
            "at https://proxy.example, but the request reached Tocsin as https://127.0.0.1:8000, ",
        ),
        (
            "tocsin.example",
            {"Origin": "http://tocsin.example"},
            "at http://tocsin.example, but the request reached Tocsin as https://tocsin.example, ",
        ),
        ("tocsin.example", {}, "did not state which page sent this form"),
        ("tocsin.example", {"Origin": "null"}, "did not state which page sent this form"),
        ("tocsin.example", {"Origin": "https://["}, "at https://[, but the request reached"),
    ],
)
def test_a_form_from_another_address_is_refused_with_both_addresses(
    public, host, headers, sentence
):
    refused = sign_in_through_proxy(public, host, **headers)
    assert (refused.status_code, sentence in html.unescape(refused.text)) == (400, True)
    assert "cookies" not in refused.text
    assert 'id="password"' in refused.text


def test_without_a_public_url_a_form_of_unknown_origin_is_refused_over_https(app):
    browser = app.test_client()
    refused = browser.post("/login", base_url="https://localhost")
    assert (refused.status_code, "did not state" in refused.text) == (400, True)
    other = {"Origin": "https://localhost"}
    expired = browser.post("/login", base_url="https://localhost", headers=other)
    assert (expired.status_code, "has expired" in expired.text) == (400, True)


def test_a_form_from_another_address_keeps_an_edit(public):
    with db.connection_context():
        user = User.create(name="ada", role="editor", password="x", created_at=1)
        secret = users.start_session(user, now_ms())
    browser = public.test_client()
    base = {"base_url": "https://tocsin.example"}
    with browser.session_transaction(**base) as session:
        session["login"] = secret
    token = token_in(browser.get("/account", **base).text)
    form = {"csrf_token": token, **form_of(name="Typed name")}
    headers = {"Origin": "https://tocsin.example:8443"}
    refused = browser.post("/channels", data=form, headers=headers, **base)
    assert (refused.status_code, 'value="Typed name"' in refused.text) == (400, True)
    assert "https://tocsin.example:8443" in refused.text
    headers["HX-Request"] = "true"
    fragment = browser.post("/channels/new/preview", data=form, headers=headers, **base)
    assert (fragment.status_code, fragment.headers["HX-Retarget"]) == (400, "#notice")
    assert Channel.select().count() == 0
    headers = {"Origin": "https://tocsin.example"}
    assert browser.post("/channels", data=form, headers=headers, **base).status_code == 303


# --- the proxy ------------------------------------------------------------------------------------


def get_from(app, address, path="/account", **headers):
    """GET a page as the client at an address."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    url = "http://127.0.0.1:8000"
    return app.test_client().get(
        path, base_url=url, headers=headers, environ_base={"REMOTE_ADDR": address}
    )


def test_a_new_user_whose_first_requests_arrive_together_is_signed_in_by_each(public, monkeypatch):
    add = users.add

    def add_second(*arguments):
        add(*arguments)  # another request has added the user since this one looked
        return add(*arguments)

    monkeypatch.setattr(users, "add", add_second)
    assert get_from(public, "192.0.2.1", Remote_User="Grace").status_code == 200
    assert User.select().where(User.name == "Grace").count() == 1


def test_a_user_named_by_a_trusted_proxy_is_signed_in(public):
    response = get_from(public, "192.0.2.1", Remote_User="Grace")
    assert (response.status_code, "<h1>Grace</h1>" in response.text) == (200, True)
    assert "Sign out" not in response.text
    assert User.named("grace").role == "viewer"


def test_a_proxy_may_send_the_name_in_utf8(public):
    header = "Zoë".encode().decode("latin-1")
    assert "Zoë" in get_from(public, "::1", Remote_User=header).text


@pytest.mark.parametrize("address", ["192.0.3.1", "127.0.0.1", "::2", "", "nonsense"])
def test_the_user_header_of_an_untrusted_client_is_ignored(public, address):
    assert get_from(public, address, Remote_User="admin").status_code == 303
    assert not User.select().count()


@pytest.mark.parametrize("name", ["x" * 65, "a:b", "a\x01b"])
def test_an_invalid_name_from_the_proxy_is_refused_with_a_message(public, name):
    response = get_from(public, "192.0.2.1", Remote_User=name)
    assert (response.status_code, "The proxy in front of Tocsin" in response.text) == (403, True)


def test_forwarded_headers_are_accepted_from_trusted_proxies_only(public):
    forwarded = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "tocsin.example",
        "X_Forwarded_For": "203.0.113.5",
    }
    assert "Secure" in get_from(public, "192.0.2.1", "/login", **forwarded).headers["Set-Cookie"]
    assert (
        "Secure"
        not in get_from(public, "198.51.100.1", "/login", **forwarded).headers["Set-Cookie"]
    )
    evil = {**forwarded, "X_Forwarded_Host": "evil.example"}
    assert get_from(public, "192.0.2.1", "/login", **evil).status_code == 400


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("192.0.2.1:51234", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:51234", "192.0.2.1"),
        ("[2001:db8::1]:51234", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::1", "::1"),
        ("::192.0.2.1", "::c000:201"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:192.0.2.1%eth0", "192.0.2.1"),
        ("", ""),
        ("unknown", "unknown"),
        ("[nonsense]:1", "[nonsense]:1"),
        ("192.0.2.1:port", "192.0.2.1:port"),
    ],
)
def test_a_client_has_one_address_however_it_is_written(sent, address):
    assert client_address(sent) == address


def test_a_trusted_ipv4_proxy_is_recognized_by_a_server_on_ipv6(public):
    response = get_from(public, "::ffff:192.0.2.1", Remote_User="Grace")
    assert (response.status_code, "<h1>Grace</h1>" in response.text) == (200, True)
    assert get_from(public, "::ffff:192.0.3.1", Remote_User="Eve").status_code == 303


@pytest.mark.parametrize(
    ("peer", "forwarded", "place"),
    [
        ("::ffff:203.0.113.5", "", "203.0.113.5"),
        ("::ffff:192.0.2.1", "203.0.113.5", "203.0.113.5"),
        ("::ffff:192.0.2.1", "198.51.100.7, ::ffff:203.0.113.5", "203.0.113.5"),
        ("192.0.2.1", "203.0.113.5:4711", "203.0.113.5"),
        ("192.0.2.1", "[2001:db8::1]:4711", "2001:db8::/64"),
    ],
)
def test_guesses_are_counted_for_the_true_address_of_the_client(public, peer, forwarded, place):
    browser = public.test_client()
    url = "https://tocsin.example"
    options = {
        "base_url": url,
        "environ_base": {"REMOTE_ADDR": peer},
        "headers": {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https", "Referer": url},
    }
    form = {
        "csrf_token": token_in(browser.get("/login", **options).text),
        "username": "eve",
        "password": "a wrong password",
    }
    assert browser.post("/login", data=form, **options).status_code == 401
    assert [guess.address for guess in Guess.select()] == [place]


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return socket.has_dualstack_ipv6()
    return False


def test_ipv4_clients_of_a_server_on_ipv6_have_their_own_addresses(tmp_path):
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback that also serves IPv4")
    server = Live(tmp_path, bind="[::]:{port}", TOCSIN_TRUSTED_PROXIES="::ffff:127.0.0.0/104")
    try:
        server.ready()
        headers = {"Remote-User": "grace"}
        page = requests.get(f"{server.url}/account", headers=headers, timeout=5)
        assert "<h1>grace</h1>" in page.text
        over_ipv6 = f"http://[::1]:{server.port}/account"
        refused = requests.get(over_ipv6, headers=headers, timeout=5, allow_redirects=False)
        assert refused.status_code == 303
    finally:
        server.stop()


def test_the_clients_of_an_ipv6_network_share_one_limit(app, monkeypatch):
    monkeypatch.setattr("web.auth.access.time.monotonic", lambda: 1000.0)
    browser = app.test_client()

    def status(address):
        return browser.get("/login", environ_base={"REMOTE_ADDR": address}).status_code

    assert {status(f"2001:db8::{number:x}") for number in range(1, 301)} == {200}
    assert status("2001:db8::ffff") == 429
    assert status("2001:db8:0:1::1") == 200


# --- rate limit -----------------------------------------------------------------------------------


def test_more_than_300_requests_a_second_are_refused(client, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("web.auth.access.time.monotonic", lambda: now[0])
    statuses = [client._client.get("/account").status_code for _ in range(301)]
    assert statuses == [200] * 300 + [429]
    refused = client._client.get("/account")
    assert refused.headers["Retry-After"] == "1"
    now[0] += 1.01
    assert client._client.get("/account").status_code == 200
