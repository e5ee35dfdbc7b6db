"""Tocsin below a path of its host, such as https://tools.example/tocsin."""

import contextlib
import html
import re

import pytest
import requests
from browsing import fresh_name, open_page
from channels import create, form_of
from conftest import PASSWORD, ROOT, Live, free_port
from markup import token_in
from playwright.sync_api import expect
from programs import Programs, documented, find_program
from test_accessibility import paths_of
from test_nginx import create_certificate, session_with, start_nginx

from app import create_app
from config import Config, ConfigError
from config.prefix import OWN_PARTS
from models import db

PREFIX = "/tools/tocsin"
PROXY = "192.0.2.1"
NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/tocsin.crt;
    ssl_certificate_key {folder}/tocsin.key;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Prefix "{header}";
    proxy_set_header Remote-User "";
    {locations}
    location = /up {{ return 204; }}
}}
"""
# Everything in a page that makes the browser send a request to Tocsin.
ADDRESSES = re.compile(r'\s(href|src|action|formaction|hx-get|hx-post|hx-put|hx-delete)="([^"]*)"')
# Such an address in a template or in a script is written without the prefix.
HARD_CODED = re.compile(
    r'\b(?:href|src|action|formaction|hx-[a-z]+)="/|url\([\'"]?/|(?:fetch|open|assign)\([\'"`]/'
    r'|location(?:\.href)? = [\'"`]/'
)


@pytest.fixture
def below(tmp_path, compiled):
    """Return a function that makes an app with a public URL, behind a trusted proxy."""
    opened = []

    def below(url=f"https://tools.example{PREFIX}", **variables):
        environment = {
            "TOCSIN_DATA_DIR": str(tmp_path / "below"),
            "TOCSIN_PUBLIC_URL": url,
            "TOCSIN_TRUSTED_PROXIES": PROXY,
            "TOCSIN_ADMIN_PASSWORD": PASSWORD,
            **variables,
        }
        app = create_app(Config.from_env(environment))
        app.jinja_env.bytecode_cache = compiled
        opened.append(app)
        return app

    yield below
    if opened:
        db.close()


def location(app, path, **headers):
    """Return where the app redirects a visitor who comes through the proxy."""
    response = app.test_client().get(
        path,
        base_url="https://tools.example",
        environ_base={"REMOTE_ADDR": PROXY},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return response.headers.get("Location")


@pytest.mark.parametrize("path", ["/channels?q=a", f"{PREFIX}/channels?q=a"])
def test_links_begin_with_the_path_of_the_public_url_whether_the_proxy_strips_it_or_not(
    below, path
):
    expected = f"{PREFIX}/login?next={PREFIX}/channels?q%3Da"
    assert location(below(), path) == expected
    # The header of the proxy changes nothing.
    assert location(below(), path, X_Forwarded_Prefix="/other") == expected


@pytest.mark.parametrize(
    ("header", "path", "expected"),
    [
        ("/tools", "/channels", "/tools/login?next=/tools/channels"),
        ("/tools/", "/channels", "/tools/login?next=/tools/channels"),
        ("/tools", "/tools/channels", "/tools/login?next=/tools/channels"),
        ("//evil.example", "/channels", "/login?next=/channels"),
        ("/a b", "/channels", "/login?next=/channels"),
        ("tools", "/channels", "/login?next=/channels"),
    ],
)
def test_without_a_public_url_the_trusted_proxy_names_the_prefix(below, header, path, expected):
    app = below("", TOCSIN_BIND="tools.example:8000")
    assert location(app, path, X_Forwarded_Prefix=header) == expected


def test_a_stranger_names_no_prefix(below):
    app = below("", TOCSIN_BIND="tools.example:8000")
    response = app.test_client().get(
        "/channels",
        base_url="http://tools.example",
        environ_base={"REMOTE_ADDR": "198.51.100.9"},
        headers={"X-Forwarded-Prefix": "/tools"},
    )
    assert response.headers["Location"] == "/login?next=/channels"


@pytest.mark.parametrize(
    ("url", "cookie"),
    [
        (f"https://tools.example{PREFIX}", ("__Secure-tocsin_8000=", f"Path={PREFIX}", "Secure")),
        (f"http://tools.example{PREFIX}", ("tocsin_8000=", f"Path={PREFIX}", "HttpOnly")),
        ("https://tools.example", ("__Host-tocsin_8000=", "Path=/", "Secure")),
    ],
)
def test_the_cookie_is_sent_below_the_prefix_only(below, url, cookie):
    response = below(url).test_client().get("/login", base_url=url)
    name, *attributes = cookie
    assert response.headers["Set-Cookie"].startswith(name)
    assert set(attributes) <= set(response.headers["Set-Cookie"].split("; "))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (f"{PREFIX}/channels", f"{PREFIX}/channels"),
        ("/channels", f"{PREFIX}/"),  # another program's
        ("/tools/tocsin-2/x", f"{PREFIX}/"),
        ("//evil.example/tools/tocsin/", f"{PREFIX}/"),
    ],
)
def test_signing_in_leads_to_a_page_below_the_prefix_only(below, path, target):
    browser = below().test_client()
    options = {"base_url": "https://tools.example", "environ_base": {"REMOTE_ADDR": PROXY}}
    page = browser.get(f"{PREFIX}/login", **options)
    form = {
        "csrf_token": token_in(page.text),
        "username": "admin",
        "password": PASSWORD,
        "next": path,
    }
    origin = {"Origin": "https://tools.example"}
    response = browser.post(f"{PREFIX}/login", data=form, headers=origin, **options)
    assert (response.status_code, response.headers["Location"]) == (303, target)


@pytest.mark.parametrize("path", ["/alerts", "/channels/x", "/api", "/static/tocsin"])
def test_a_prefix_that_begins_like_a_page_of_tocsin_is_refused(path):
    url = f"https://tools.example{path}/"
    with pytest.raises(ConfigError, match=f"TOCSIN_PUBLIC_URL: the path {path} begins like a page"):
        Config.from_env({"TOCSIN_PUBLIC_URL": url})


def test_the_first_parts_of_all_paths_are_known(app):
    parts = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""}
    assert parts == OWN_PARTS, "update OWN_PARTS in config/prefix.py"


def test_links_in_messages_and_invitations_have_the_prefix_once(app, client, receiver):
    from dataclasses import replace

    from app import configure

    configure(app, replace(app.extensions["tocsin"].config, public_url=f"http://localhost{PREFIX}"))
    base = {"base_url": f"http://localhost{PREFIX}"}
    created = create(client, receiver.url)
    form = form_of(receiver.url, name="x")
    client.post(f"/channels/{created}/test", form, **base)
    sent = receiver.requests[-1].body.decode()
    assert f'"http://localhost{PREFIX}/channels/{created}/edit"' in sent
    page = client.post("/people", {"name": "mia", "role": "viewer"}, **base).text
    assert f'value="http://localhost{PREFIX}/setup/' in page


def files():
    """Return the templates, scripts and style sheets."""
    found = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").rglob("*.*s")]
    assert len(found) > 50
    return found


def test_no_template_script_or_style_sheet_has_a_hard_coded_path():
    for path in files():
        assert not HARD_CODED.search(path.read_text(encoding="utf-8")), path


@pytest.fixture(scope="module", params=["stripped", "passed on", "named by the proxy"])
def proxied(request, tmp_path_factory):
    """Yield a Tocsin, the URL of it behind nginx, and a session that is signed in there."""
    find_program("nginx")
    folder = tmp_path_factory.mktemp("prefix")
    port = free_port()
    create_certificate(folder, "localhost")
    origin = f"https://localhost:{port}"
    settings = {"TOCSIN_TRUSTED_PROXIES": "127.0.0.1"}
    if request.param != "named by the proxy":
        settings["TOCSIN_PUBLIC_URL"] = origin + PREFIX
    with contextlib.ExitStack() as stack:
        live = Live(folder, **settings)
        stack.callback(live.stop)
        live.ready()
        session = stack.enter_context(session_with(folder / "ca.pem"))
        programs = Programs(folder)
        stack.callback(programs.stop)
        servers = NGINX.format(
            port=port,
            folder=folder,
            locations=locations(live.port, strips=request.param == "stripped"),
            header=PREFIX if request.param == "named by the proxy" else "",
        )
        start_nginx(programs, servers, f"{origin}/up", session)
        session.headers["Origin"] = origin
        page = session.get(f"{origin}{PREFIX}/login", timeout=5)
        form = {"csrf_token": token_in(page.text), "username": "admin", "password": PASSWORD}
        response = session.post(f"{origin}{PREFIX}/login", form, timeout=5)
        assert response.status_code == 200
        assert response.url == f"{origin}{PREFIX}/"
        yield live, origin, session


def locations(port, strips):
    """Return the example of the documentation."""
    changes = {"/tocsin/": f"{PREFIX}/", "127.0.0.1:8000": f"127.0.0.1:{port}"}
    example = documented("reverse-proxy.md", r"## Below a path.*?```nginx\n(.*?)```", changes)
    # Only the first location can strip it: the other one is an expression.
    return example.replace(f":{port};", f":{port}/;", 1) if strips else example


def test_every_address_on_every_page_leads_below_the_prefix(proxied, app, receiver):
    live, origin, session = proxied
    ids = fill(live, origin, session, receiver)
    paths = {path for path in paths_of(app, ids) if path != "/logout"}
    assert len(paths) > 15
    seen = set()
    for path in sorted(paths):
        page = session.get(origin + PREFIX + path, timeout=10)
        assert page.status_code == 200, path
        for name, address in ADDRESSES.findall(page.text):
            address = html.unescape(address).split("#")[0]
            if not address or address.startswith(("https://", "http://", "?", "mailto:")):
                continue
            assert address.startswith(f"{PREFIX}/"), f"{path} has {name}={address}"
            seen.add(("GET" if name in ("href", "src", "hx-get") else "OPTIONS", address))
    assert len(seen) > 40
    for method, address in sorted(seen):
        response = session.request(method, origin + address, allow_redirects=False, timeout=10)
        assert response.status_code < 400, (method, address)


def fill(live, origin, session, receiver):
    """Create a channel and an alert through the proxy; return the ids of their pages."""
    base = origin + PREFIX
    token = token_in(session.get(f"{base}/account", timeout=5).text)
    form = {**form_of(f"{receiver.url}/hook"), "csrf_token": token}
    form["name"] = f"below {receiver.port}"
    response = session.post(f"{base}/channels", form, allow_redirects=False, timeout=5)
    assert response.status_code == 303, response.text
    assert response.headers["Location"].startswith(f"{PREFIX}/channels/")
    tokens = {}
    for scope in ("ingest", "channels"):
        form = {"csrf_token": token, "name": f"{scope} {receiver.port}", "scope": scope}
        page = session.post(f"{base}/tokens", form, timeout=5).text
        secret = re.search(r'value="(tocsin_[\w-]+)"', page)
        if secret:
            tokens[scope] = {"Authorization": f"Bearer {secret[1]}"}
    url = f"{base}/api/v1/alerts"
    posted = requests.post(
        url, json={"name": "Disk full"}, headers=tokens["ingest"], verify=session.verify, timeout=5
    )
    assert posted.status_code == 202, posted.text
    [[delivery, alert]] = live.query("SELECT max(id), max(alert_id) FROM delivery")
    channel = int(response.headers["Location"].split("/")[-2])
    return {"channel_id": channel, "alert_id": alert, "number": delivery}


@pytest.mark.browser
def test_field_checks_and_tests_work_in_a_browser_below_the_prefix(chromium, tmp_path, receiver):
    live = Live(tmp_path, TOCSIN_PUBLIC_URL=f"https://tools.example{PREFIX}")
    try:
        live.ready()
        live.url += PREFIX
        page = open_page(chromium, live)
        page.goto(f"{live.url}/channels/new?kind=webhook")
        page.fill("#url", "nonsense")
        expect(page.locator("#url-error")).to_contain_text("http")
        page.fill("#url", receiver.url)
        page.fill("#name", fresh_name())
        page.get_by_role("button", name="Send test").click()
        expect(page.locator("#test-result")).to_have_attribute("data-verdict", "delivered")
        assert page.complaints == []
        page.context.close()
    finally:
        live.stop()
