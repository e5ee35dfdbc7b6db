"""The sender is an ordinary program of requests: requests-mock intercepts it."""

import gzip

import pytest
import requests
from test_sender import POLICY, message_of

from delivery import sender
from delivery.settings import Header, Settings

URL = "https://hooks.example.com/services/T1"


def send(url=URL, **fields):
    settings = Settings(url=url, **fields)
    return sender.send(message_of(settings), settings, POLICY).outcome


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [(200, "delivered", "ok"), (404, "failed", "http_status"), (503, "retry", "http_status")],
)
def test_a_mocked_response_becomes_an_outcome(requests_mock, status, verdict, reason):
    requests_mock.post(URL, status_code=status, text="no such hook", headers={"X-Trace": "7"})
    outcome = send()
    assert (outcome.verdict, outcome.reason, outcome.status) == (verdict, reason, status)
    assert outcome.excerpt == "no such hook"
    assert outcome.headers == (("X-Trace", "7"),)


def test_a_mock_sees_the_request_as_it_is_sent(requests_mock):
    requests_mock.post(URL)
    send(headers=(Header("X-Team", "db"),), auth="bearer", auth_secret="t0p")
    [request] = requests_mock.request_history
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["X-Team"] == "db"
    assert request.headers["Authorization"] == "Bearer t0p"
    assert request.headers["webhook-id"].startswith("msg_")
    assert request.json()["alert"]


def test_a_redirect_is_not_followed(requests_mock):
    requests_mock.post(URL, status_code=302, headers={"Location": "https://other.example/"})
    assert send().reason == "redirect"
    assert requests_mock.call_count == 1


def test_at_most_16_kb_of_a_body_are_read(requests_mock):
    requests_mock.post(
        URL, content=gzip.compress(b"x" * 1_000_000), headers={"Content-Encoding": "gzip"}
    )
    outcome = send()
    assert outcome.reason == "ok_truncated"
    assert outcome.excerpt_cut


def test_a_body_that_cannot_be_decoded_is_cut(requests_mock):
    requests_mock.post(URL, content=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert (send().reason, send().excerpt) == ("ok_truncated", "")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.exceptions.ConnectTimeout, "timeout_connect"),
        (requests.exceptions.ReadTimeout, "timeout_total"),
        (requests.exceptions.ConnectionError, "connection_closed"),
        (requests.exceptions.ChunkedEncodingError, "connection_closed"),
        (requests.exceptions.SSLError, "protocol_error"),
        (requests.exceptions.InvalidURL, "invalid_url"),
        (ZeroDivisionError, "internal_error"),
    ],
)
def test_an_exception_of_requests_has_a_reason(requests_mock, error, reason):
    requests_mock.post(URL, exc=error("t0p-secret"))
    outcome = send()
    assert outcome.reason == reason
    assert "t0p-secret" not in f"{outcome.says} {outcome.hint} {outcome.stages}"


def test_an_unexpected_exception_is_an_internal_error_without_its_text(requests_mock, caplog):
    requests_mock.post(URL, exc=KeyError("http://secret.example/" + "t0ken"))
    outcome = send()
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("retry", "internal_error", "tocsin")
    assert "KeyError" in caplog.text
    assert "t0ken" not in caplog.text + outcome.says + outcome.hint


def test_an_echoed_secret_is_masked_and_control_characters_are_escaped(requests_mock):
    requests_mock.post(
        f"{URL}/t0ken-of-the-path",
        status_code=403,
        content=b"no t0ken-of-the-path for hunter2!\x00\x1b[31m\xe2\x80\xae",
        headers={"X-Echo": "hunter2!"},
    )
    outcome = send(f"{URL}/t0ken-of-the-path", auth="bearer", auth_secret="hunter2!")
    shown = outcome.excerpt + repr(outcome.headers)
    assert outcome.status == 403
    assert "hunter2!" not in shown
    assert "t0ken" not in shown
    assert "\\u0000\\u001b[31m\\u202e" in outcome.excerpt


@pytest.mark.parametrize(
    "charset", ["utf-8", "latin-1", "no-such-charset", "a\x00b", "utf-16", "idna", "rot13"]
)
def test_no_charset_breaks_the_outcome(requests_mock, charset):
    content_type = {"Content-Type": f"text/plain; charset={charset}"}
    requests_mock.post(URL, status_code=500, content=b"\xff\xfea", headers=content_type)
    assert (send().status, send().reason) == (500, "http_status")


def test_a_url_that_is_not_mocked_is_not_connected_to(requests_mock):
    outcome = send()
    assert outcome.reason == "internal_error"
    assert outcome.stages[0].name == "verdict"
