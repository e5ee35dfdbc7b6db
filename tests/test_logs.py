"""The log: its formats, the ids in it, and what must never be in it."""

import io
import json
import logging
import re

import pytest
import requests
from channels import create
from conftest import Live
from receiver import one_after_another, reply
from workers import post, until

from config import Config, ConfigError
from logs import LogFormat, formatter_of, handling, request_id
from models import Attempt, db
from web.auth.proxy import BehindProxy
from web.request_ids import RequestIds, masked_path


def line_of(log_format, message, **extra):
    """Return the line that a logger writes in a format."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter_of(log_format))
    logger = logging.Logger("tocsin.test", logging.INFO)
    logger.addHandler(handler)
    logger.info(message, extra=extra)
    return stream.getvalue()


def test_a_line_of_json_has_time_level_process_and_the_ids():
    with handling("abc"):
        line = line_of(LogFormat.JSON, 'two\nlines and a "quote"', delivery_id=7, channel_id=3)
    assert line.count("\n") == 1
    members = json.loads(line)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", members["time"])
    assert isinstance(members["process"], int)
    known = {name: members[name] for name in ("level", "message", "request_id", "delivery_id")}
    assert known == {
        "level": "info",
        "message": 'two\nlines and a "quote"',
        "request_id": "abc",
        "delivery_id": 7,
    }


def test_a_line_of_text_is_like_gunicorns_with_the_ids_behind():
    line = line_of(LogFormat.TEXT, "it failed", delivery_id=7)
    assert re.fullmatch(r"\[[^\]]+\] \[\d+\] \[INFO\] it failed delivery_id=7\n", line)
    assert request_id() == ""


@pytest.mark.parametrize(
    ("name", "value"), [("TOCSIN_LOG_FORMAT", "xml"), ("TOCSIN_ACCESS_LOG", "yes")]
)
def test_a_wrong_value_is_refused_by_name(tmp_path, name, value):
    with pytest.raises(ConfigError, match=name):
        Config.from_env({"TOCSIN_DATA_DIR": str(tmp_path), name: value})


# --- ids of requests --------------------------------------------------------------------------


@pytest.fixture
def call():
    """Return a function that sends a request through the middleware; it returns the id."""

    def call(given="", address="10.0.0.9", trusted="10.0.0.9/32", path="/", logs_access=False):
        seen = []

        def app(_environ, start_response):
            seen.append(request_id())
            start_response("200 OK", [])
            return [b""]

        config = Config.from_env({"TOCSIN_TRUSTED_PROXIES": trusted})
        numbered = RequestIds(app, logs_access=logs_access)
        headers = {}
        environ = {
            "REMOTE_ADDR": address,
            "HTTP_X_REQUEST_ID": given,
            "PATH_INFO": path,
            "REQUEST_METHOD": "GET",
            "wsgi.url_scheme": "http",
        }
        BehindProxy(numbered, config.trusted_proxies)(
            environ, lambda _status, fields, _info=None: headers.update(fields)
        )
        assert seen == [headers["X-Request-ID"]]
        return seen[0]

    return call


def test_each_request_has_an_id_of_its_own(call):
    assert re.fullmatch("[0-9a-f]{16}", call())
    assert call() != call()
    assert request_id() == ""


@pytest.mark.parametrize(
    ("given", "address", "is_kept"),
    [
        ("abc-123", "10.0.0.9", True),
        ("abc-123", "10.0.0.8", False),
        ("a b", "10.0.0.9", False),
        ("a\r\nX-Evil: 1", "10.0.0.9", False),
        ("a\n", "10.0.0.9", False),
        ("x" * 129, "10.0.0.9", False),
        ("", "10.0.0.9", False),
    ],
)
def test_a_sane_id_of_a_trusted_proxy_is_kept(call, given, address, is_kept):
    assert (call(given, address) == given) == is_kept


def test_the_app_reads_the_headers_of_a_proxy_once(app):
    wrapped = app.wsgi_app
    layers = []
    while hasattr(wrapped, "_app"):
        layers.append(type(wrapped))
        wrapped = getattr(wrapped, "_wsgi_app", wrapped._app)
    assert layers.count(BehindProxy) == 1
    assert layers.index(BehindProxy) < layers.index(RequestIds)


def test_errors_show_the_id_of_their_request(client, anonymous):
    response = client.get("/channels/99/edit")
    assert response.headers["X-Request-ID"] in response.text
    problem = anonymous.get("/api/v1/channels")
    assert problem.json["request_id"] == problem.headers["X-Request-ID"]


# --- the access log -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/t/tocsin_s3cret/api/v1/alerts", "/t/…/api/v1/alerts"),
        ("//t//tocsin_s3cret/api/v1/alerts", "//t//…/api/v1/alerts"),
        ("/bell/t/tocsin_s3cret", "/bell/t/…"),
        ("/setup/s3cret", "/setup/…"),
        ("/SETUP/s3cret", "/SETUP/…"),
        ("/lab/in/s3cret", "/lab/in/…"),
        ("/channels/1/edit", "/channels/1/edit"),
        ("/a b\n[x]", "/a%20b%0A%5Bx%5D"),
    ],
)
def test_secrets_in_a_path_are_masked(path, masked):
    assert masked_path(path) == masked


def test_requests_are_logged_only_if_wanted(call, caplog):
    caplog.set_level("INFO", "tocsin.access")
    call(path="/t/tocsin_s3cret/x")
    assert caplog.records == []
    call(path="/t/tocsin_s3cret/x", logs_access=True)
    [record] = caplog.records
    assert (record.method, record.path, record.status) == ("GET", "/t/…/x", "200")


# --- deliveries -------------------------------------------------------------------------------


def test_an_attempt_that_fails_is_logged_with_its_ids_and_without_secrets(
    make, channel, clocks, receiver, caplog
):
    caplog.set_level("INFO", "tocsin.worker")
    channel_id = channel(f"{receiver.url}/s3cret-path")
    receiver.script = one_after_another(reply(503), reply(200))
    post(clocks)
    post(clocks, key="another")
    until(make(), lambda: Attempt.select().count() == 2)
    [record] = [record for record in caplog.records if hasattr(record, "delivery_id")]
    failed = Attempt.get(Attempt.verdict == "retry")
    assert record.delivery_id == failed.delivery_id
    assert (record.channel_id, record.attempt) == (channel_id, 1)
    assert (record.verdict, record.reason, record.status) == ("retry", "http_status", 503)
    assert "s3cret-path" not in caplog.text


def test_a_server_writes_nothing_but_json_and_masks_tokens(tmp_path):
    server = Live(
        tmp_path,
        TOCSIN_LOG_FORMAT="json",
        TOCSIN_ACCESS_LOG="1",
        TOCSIN_PUBLC_URL="x",
    )
    try:
        server.ready()
        requests.get(f"{server.url}/t/tocsin_s3cret/api/v1/alerts?q=s3cret", timeout=5)
    finally:
        server.stop()
    output = (tmp_path / "log").read_text()
    shown = [line for line in output.splitlines() if line.lower().startswith("tocsin")]
    lines = [json.loads(line) for line in output.splitlines() if line not in shown]
    assert "PUBLC" not in str(shown)  # what is printed for a person, on standard output
    assert any("TOCSIN_PUBLIC_URL" in line["message"] for line in lines)
    masked = [line for line in lines if line.get("path") == "/t/…/api/v1/alerts"]
    assert masked
    assert masked[0]["request_id"]
    assert "s3cret" not in output


def test_creating_a_channel_logs_no_secret(client, caplog):
    caplog.set_level("INFO")
    create(client, auth="bearer", auth_secret="s3cret-of-the-log")
    with db.connection_context():
        assert "s3cret-of-the-log" not in caplog.text
