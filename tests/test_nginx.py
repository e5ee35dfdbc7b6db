"""The example for nginx in docs/reverse-proxy.md, with a real nginx."""

import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest
import requests
import trustme
from conftest import PASSWORD, ROOT, Live, free_port
from markup import token_in

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
NAME = "tocsin.example.com"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """Yield the URL of nginx in front of a running Tocsin, and a session."""
    if not NGINX:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is missing, and CI does not skip its tests")
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", NAME)
    certificate.private_key_pem.write_to_path(folder / "tocsin.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "tocsin.crt")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    with contextlib.ExitStack() as stack:
        server = Live(
            folder, TOCSIN_PUBLIC_URL=f"https://{NAME}:{port}", TOCSIN_TRUSTED_PROXIES="127.0.0.1"
        )
        stack.callback(server.stop)
        server.ready()
        (folder / "nginx.conf").write_text(configuration(folder, port, server.port))
        command = [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
        nginx = stack.enter_context(subprocess.Popen(command))
        stack.callback(nginx.terminate)
        session = stack.enter_context(requests.Session())
        session.trust_env = False  # REQUESTS_CA_BUNDLE would replace `verify`
        session.verify = str(folder / "ca.pem")
        session.headers["Host"] = f"{NAME}:{port}"
        url = f"https://localhost:{port}"
        wait_for(session, url)
        yield url, session


def configuration(folder, port, tocsin_port):
    """Return the example of the documentation with the ports and paths of this test."""
    page = (ROOT / "docs" / "reverse-proxy.md").read_text()
    example = re.search(r"```nginx\n(.*?)```", page, re.DOTALL)[1]
    for old, new in {
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "/etc/nginx/": f"{folder}/",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{tocsin_port}",
    }.items():
        assert old in example
        example = example.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    start = f"daemon off; master_process off; pid {folder}/pid; events {{}}"
    return f"{start} http {{ {paths} access_log {folder}/access.log; {example} }}"


def wait_for(session, url):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert session.get(f"{url}/healthz", timeout=2).status_code == 200
            return
        except requests.ConnectionError:
            time.sleep(0.02)
    raise AssertionError("nginx did not start")


def test_a_user_signs_in_and_saves_through_nginx(proxied):
    url, session = proxied
    page = session.get(f"{url}/login", timeout=5)
    assert "__Host-" in page.headers["Set-Cookie"]
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
