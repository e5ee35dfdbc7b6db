"""nginx with TLS: the example in docs/reverse-proxy.md, and nginx in front of a receiver."""

import contextlib
import json
import re

import pytest
import requests
import trustme
from conftest import PASSWORD, Live, free_port
from markup import token_in
from programs import Programs, documented, find_program

NAME = "tocsin.example.com"
RECEIVER = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/tocsin.crt;
    ssl_certificate_key {folder}/tocsin.key;
    location /up {{ return 204; }}
    location / {{
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_pass http://127.0.0.1:{receiver_port};
    }}
}}
"""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """Yield the URL of nginx in front of a running Tocsin, and a session."""
    find_program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    create_certificate(folder, "localhost", NAME)
    with contextlib.ExitStack() as stack:
        server = Live(
            folder, TOCSIN_PUBLIC_URL=f"https://{NAME}:{port}", TOCSIN_TRUSTED_PROXIES="127.0.0.1"
        )
        stack.callback(server.stop)
        server.ready()
        session = stack.enter_context(session_with(folder / "ca.pem"))
        session.headers["Host"] = f"{NAME}:{port}"
        url = f"https://localhost:{port}"
        programs = Programs(folder)
        stack.callback(programs.stop)
        start_nginx(programs, configuration(folder, port, server.port), f"{url}/healthz", session)
        yield url, session


def create_certificate(folder, *names):
    """Write a certificate for nginx, its key, and the authority that clients have to trust."""
    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(folder / "tocsin.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "tocsin.crt")
    authority.cert_pem.write_to_path(folder / "ca.pem")


def session_with(authority):
    """Return a session that trusts this authority only."""
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would replace `verify`
    session.verify = str(authority)
    return session


def start_nginx(programs, servers, url, session):
    """Start nginx with these servers in the folder of the programs."""
    folder = programs.folder
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    start = f"daemon off; master_process off; pid {folder}/pid; events {{}}"
    (folder / "nginx.conf").write_text(
        f"{start} http {{ {paths} access_log {folder}/access.log; {servers} }}"
    )
    arguments = ("-p", folder, "-c", folder / "nginx.conf", "-e", "stderr")
    programs.start("nginx", *arguments, url=url, session=session)


def configuration(folder, port, tocsin_port):
    """Return the example of the documentation with the ports and paths of this test."""
    changes = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "/etc/nginx/": f"{folder}/",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{tocsin_port}",
    }
    return documented("reverse-proxy.md", r"```nginx\n(.*?)```", changes)


def test_a_user_signs_in_and_saves_through_nginx(proxied):
    url, session = proxied
    page = session.get(f"{url}/login", timeout=5)
    assert page.headers["Set-Cookie"].startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(page.headers["Set-Cookie"].split("; "))
    origin = {"Origin": f"https://{session.headers['Host']}"}
    form = {"csrf_token": token_in(page.text), "username": "admin", "password": PASSWORD}
    signed_in = session.post(f"{url}/login", form, headers=origin, allow_redirects=False, timeout=5)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/")
    tokens = session.get(f"{url}/tokens", timeout=5)
    form = {"csrf_token": token_in(tokens.text), "name": "n", "scope": "ingest"}
    page = session.post(f"{url}/tokens", form, headers=origin, timeout=5).text
    secret = re.search(r'value="(tocsin_[\w-]+)"', page)[1]
    path = f"/t/{secret}/api/v1/alerts"
    assert session.post(url + path, json={"name": "Disk full"}, timeout=5).status_code == 202
    bearer = {"Authorization": f"Bearer {secret}"}
    alert = [{"labels": {"alertname": "Disk almost full"}}]
    posted = session.post(f"{url}/api/v2/alerts", json=alert, headers=bearer, timeout=5)
    assert posted.status_code == 200
    page = session.get(f"{url}/alerts", timeout=5)
    assert "Disk almost full" in page.text
    assert page.url == f"{url}/alerts"


def test_a_client_cannot_forge_the_headers_of_the_proxy(proxied):
    url, session = proxied
    forged = {
        "Remote-User": "admin",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
    }
    with requests.Session() as stranger:
        stranger.trust_env = False
        stranger.verify = session.verify
        headers = {**session.headers, **forged}
        page = stranger.get(f"{url}/people", headers=headers, allow_redirects=False, timeout=5)
        assert (page.status_code, page.headers["Location"]) == (303, "/login?next=/people")
        assert page.headers["Strict-Transport-Security"]


def test_a_receiver_behind_nginx_is_trusted_by_the_authorities_of_tocsin_ca_file(
    tmp_path, programs, receiver
):
    create_certificate(tmp_path, "127.0.0.1")
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    servers = RECEIVER.format(folder=tmp_path, port=port, receiver_port=receiver.port)
    with contextlib.closing(session_with(tmp_path / "ca.pem")) as session:
        start_nginx(programs, servers, f"{url}/up", session)
    live = Live(tmp_path, TOCSIN_CA_FILE=str(tmp_path / "ca.pem"))
    try:
        live.ready()
        live.create_channel(f"{url}/hooks/t0ken")
        live.post_alert(name="Disk full")
        (received,) = receiver.wait_for(1, 10)
    finally:
        live.stop()
    assert (received.method, received.path) == ("POST", "/hooks/t0ken")
    assert received.headers["X-Forwarded-Proto"] == "https"
    assert json.loads(received.body)["alert"]["name"] == "Disk full"
