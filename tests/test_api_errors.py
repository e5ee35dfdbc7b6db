"""Errors of the API: problem documents or JSON strings with a sentence, and never a page."""

import pytest
from peewee import OperationalError

from clock import now_ms
from models import Channel, db
from web.accounts.api_tokens import SCOPES, create_token

LARGE = b"x" * 1_100_000


@pytest.fixture
def send(app):
    """Return a function that sends a request with a token for everything."""
    db.connect(reuse_if_open=True)
    _, secret = create_token("script", list(SCOPES), None, "ada", now_ms())

    def send(method, path, headers=(), **options):
        sent = {"Authorization": f"Bearer {secret}", **dict(headers)}
        return app.test_client().open(path, method=method, headers=sent, **options)

    return send


def detail_of(response):
    """Return the sentence of an error: a problem document, or the JSON string of /api/v2."""
    if "/api/v2/" in response.request.path:
        assert response.mimetype == "application/json"
        return response.json
    assert response.mimetype == "application/problem+json", response.text
    assert response.json["status"] == response.status_code
    return response.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "words"),
    [
        ("GET", "/api/v1", {}, 404, "no such address"),
        ("GET", "/api/v1/", {}, 404, "no such address"),
        ("GET", "/api/v1/nothing", {}, 404, "/api/v1/openapi.json"),
        ("GET", "/api/v1/nothing", {"headers": {"HX-Request": "true"}}, 404, "no such address"),
        ("GET", "/api/v1/nothing", {"headers": {"Host": "evil.test"}}, 404, "no such address"),
        ("GET", "/api/v1/channels/", {}, 404, "no such address"),
        ("GET", "/api/v1/channels/-1", {}, 404, "no such address"),
        ("GET", "/api/v1/channels/%00", {}, 404, "no such address"),
        ("GET", "/api/v1/%ff", {}, 404, "no such address"),
        ("GET", "/api/v1/channels/7", {}, 404, "There is no such channel."),
        ("GET", "/api/v2/nothing", {}, 404, "no such address"),
        ("PATCH", "/api/v1/channels", {}, 405, "accepts only GET, HEAD, OPTIONS, POST."),
        ("DELETE", "/api/v2/alerts", {}, 405, "accepts only GET, HEAD, OPTIONS, POST."),
        ("POST", "/api/v1/channels", {"data": LARGE}, 413, "1 MB"),
        ("POST", "/api/v2/silences", {"data": LARGE}, 413, "1 MB"),
        (
            "POST",
            "/api/v1/channels",
            {"headers": {"Sec-Fetch-Site": "cross-site"}},
            403,
            "Another website",
        ),
    ],
)
def test_every_error_is_a_sentence_for_a_machine(send, method, path, options, status, words):
    response = send(method, path, **options)
    assert response.status_code == status
    assert words in detail_of(response)


def test_a_method_that_is_not_allowed_names_the_others(send):
    response = send("PATCH", "/api/v1/channels")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize("path", ["/api/v1//channels", "/api//v2/alerts", "/ingest//grafana"])
def test_a_redirect_has_no_page(send, path):
    response = send("POST", path)
    assert (response.status_code, response.data) == (308, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["Location"].endswith(path.replace("//", "/"))


def test_a_path_that_begins_with_two_slashes_is_one_for_machines(app):
    response = app.test_client().open(path="/", environ_overrides={"PATH_INFO": "//api/v1/x"})
    assert (response.status_code, response.data) in [(308, b""), (404, response.data)]
    assert response.mimetype != "text/html"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RuntimeError("a secret"), 500, "Tocsin's log has the details under"),
        (OperationalError("disk I/O error"), 503, "Nothing was saved."),
    ],
)
def test_a_failure_of_the_server_is_a_problem_document(send, monkeypatch, error, status, words):
    def fail():
        raise error

    monkeypatch.setattr(Channel, "listed", fail)
    response = send("GET", "/api/v1/channels")
    assert response.status_code == status
    assert words in detail_of(response)
    assert "a secret" not in response.text
    assert ("Retry-After" in response.headers) == (status == 503)
