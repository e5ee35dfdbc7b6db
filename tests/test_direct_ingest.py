"""Posts of alerts that are stored without Flask get the responses that Flask would send."""

import json
import re
from dataclasses import replace

import pytest

from app import create_app
from clock import now_ms
from models import Alert, Token
from web.accounts.api_tokens import create_token
from web.api import direct_ingest

NATIVE = "/api/v1/alerts"
ALERTMANAGER = "/api/v2/alerts"
DISK = {"name": "Disk full", "labels": {"severity": "warning"}}
FIRING = {"labels": {"alertname": "DiskFull"}}
ORDINARY = [(NATIVE, DISK), (NATIVE, [DISK, DISK]), (ALERTMANAGER, [FIRING])]
THROUGH_FLASK = {"Cookie": "a=b"}


@pytest.fixture
def handled(monkeypatch):
    """Collect the number of alerts that were stored without Flask, for each such request."""
    numbers = []
    true = direct_ingest.store_ordinary

    def store(*arguments):
        results = true(*arguments)
        numbers.append(len(results or ()))
        return results

    monkeypatch.setattr(direct_ingest, "store_ordinary", store)
    return numbers


def poster(app):
    """Return a function that posts alerts with a new token."""
    with app.app_context():
        secret = create_token("sender", ["ingest"], None, "", now_ms())[1]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def send(path, sent, extra=(), **options):
        body = sent if isinstance(sent, bytes) else json.dumps(sent)
        client = app.test_client(use_cookies=False)
        return client.post(path, data=body, headers={**headers, **dict(extra)}, **options)

    return send


@pytest.fixture
def post(app):
    return poster(app)


def without_ids(response):
    text = response.text.replace(response.headers["X-Request-ID"], "")
    text = re.sub(r"[0-9]{6,}", "N", text)
    headers = dict(response.headers)
    del headers["X-Request-ID"]
    headers.pop("Content-Length", None)
    return response.status, headers, text


@pytest.mark.parametrize("options", [{}, {"base_url": "https://localhost"}])
@pytest.mark.parametrize(("path", "sent"), ORDINARY)
def test_the_response_is_that_of_flask(post, handled, path, sent, options):
    direct = post(path, sent, **options)
    count = len(sent) if isinstance(sent, list) else 1
    assert handled == [count]
    assert direct.headers["Content-Length"] == str(len(direct.data))
    assert without_ids(post(path, sent, THROUGH_FLASK, **options)) == without_ids(direct)
    assert handled == [count]


def test_https_at_the_public_address_is_as_with_flask(config, handled):
    app = create_app(replace(config, public_url="https://tocsin.example.com"))
    post = poster(app)
    for host in ("tocsin.example.com", "localhost"):
        direct = post(NATIVE, DISK, {"Host": host})
        assert ("Strict-Transport-Security" in direct.headers) == (host != "localhost")
        flask = post(NATIVE, DISK, {**THROUGH_FLASK, "Host": host})
        assert without_ids(flask) == without_ids(direct)
    assert handled == [1, 1]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (NATIVE, b"{"),
        (NATIVE, {"name": ""}),
        (NATIVE, []),
        (ALERTMANAGER, {}),
        (ALERTMANAGER, [FIRING, {"labels": {}}]),
        (ALERTMANAGER, []),
    ],
)
def test_flask_answers_what_is_empty_or_invalid(post, handled, path, sent):
    response = post(path, sent)
    assert handled == [0]
    assert without_ids(post(path, sent, THROUGH_FLASK)) == without_ids(response)


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"Authorization": "Bearer tocsin_unknown"}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Idempotency-Key": "a"}, 202),
    ],
)
def test_flask_answers_what_is_unusual(post, handled, extra, status):
    assert post(NATIVE, DISK, extra).status_code == status
    assert handled == []
    assert Alert.select().count() == (status == 202)


def test_flask_refuses_a_revoked_and_an_expired_token(post, handled):
    assert post(NATIVE, DISK).status_code == 202
    Token.update(expires_at=now_ms()).execute()
    assert post(NATIVE, DISK).status_code == 401
    Token.delete().execute()
    assert post(NATIVE, DISK).status_code == 401
    assert handled == [1]


def test_the_use_of_a_token_is_recorded(post):
    post(NATIVE, DISK)
    assert Token.get().used_at is not None
