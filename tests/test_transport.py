"""The sender is an ordinary program of requests: requests-mock intercepts it."""

import gzip

import pytest
import requests
from test_sender import POLICY, message_of

from delivery import sender
from delivery.settings import Header, Settings

URL = "https://hooks.example.com/services/T1"


def send(**fields):
    settings = Settings(url=URL, **fields)
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


def test_a_url_that_is_not_mocked_is_not_connected_to(requests_mock):
    outcome = send()
    assert outcome.reason == "internal_error"
    assert outcome.stages[0].name == "verdict"
