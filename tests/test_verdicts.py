"""How the judgement of a kind becomes an outcome, and the failures before anything is sent."""

from dataclasses import replace

import pytest
from receiver import raw
from test_layers import MODULES, imports_of
from test_sender import POLICY, message_of

from delivery import sender
from delivery.outcome import Actor, Reason, Verdict
from delivery.response import Judgement, judge_by_status
from delivery.settings import Header, Settings

NOW = 1772442900.0
URL = "https://receiver.example.test/hooks/t0ken-of-the-path"


def send(url=URL, judge=judge_by_status, **fields):
    settings = Settings(url=url, timeout=2, **fields)
    return sender.send(
        replace(message_of(settings), judge=judge), settings, POLICY, now=lambda: NOW
    ).outcome


@pytest.mark.parametrize(
    ("judgement", "verdict", "actor", "says"),
    [
        (Judgement(Reason.ACCEPTED), "accepted", "receiver", "it queued the message"),
        (
            Judgement(Reason.BODY_SAYS_ERROR, "no such robot"),
            "failed",
            "receiver",
            "refused the message: no such robot.",
        ),
        (
            Judgement(Reason.BODY_SAYS_ERROR, "too fast", verdict=Verdict.RETRY),
            "retry",
            "receiver",
            "too fast",
        ),
        (
            Judgement(Reason.BODY_SAYS_ERROR, "gone", verdict=Verdict.GONE),
            "gone",
            "receiver",
            "gone",
        ),
        (
            Judgement(Reason.BODY_SAYS_ERROR, "a page", actor=Actor.PROXY),
            "failed",
            "proxy",
            "something in front of it answered 200 OK: a page.",
        ),
    ],
)
def test_a_kind_judges_a_200_by_its_body(requests_mock, judgement, verdict, actor, says):
    requests_mock.post(URL, text='{"code": 1}')
    seen = []
    outcome = send(judge=lambda response: seen.append(response.text) or judgement)
    assert seen == ['{"code": 1}']
    assert (outcome.verdict, outcome.reason, outcome.actor, outcome.status) == (
        verdict,
        judgement.reason,
        actor,
        200,
    )
    assert says in outcome.says


def test_the_detail_of_a_kind_is_masked_escaped_and_truncated(requests_mock):
    requests_mock.post(URL)
    detail = "no t0ken-of-the-path \u202e" + "x" * 1000
    outcome = send(judge=lambda _response: Judgement(Reason.BODY_SAYS_ERROR, detail))
    assert "no •••• \\u202exxx" in outcome.says
    assert len(outcome.says) < 600


def fail_if_judged(_response):
    """Judge no response."""
    pytest.fail("the kind judged")


def test_no_kind_judges_a_redirect(requests_mock):
    requests_mock.post(URL, status_code=302, headers={"Location": "https://new.example/"})
    outcome = send(judge=fail_if_judged)
    assert (outcome.verdict, outcome.reason) == ("failed", "redirect")


def test_no_kind_judges_an_incomplete_response(receiver):
    receiver.script = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    outcome = send(receiver.url, fail_if_judged)
    assert (outcome.verdict, outcome.reason) == ("retry", "connection_closed")


def test_a_vendors_error_message_follows_the_status_in_the_sentence(requests_mock):
    requests_mock.post(URL, status_code=403, text="no")
    kicked = Judgement(Reason.HTTP_STATUS, "bot was kicked", verdict=Verdict.GONE)
    says = send(judge=lambda _response: kicked).says
    assert "answered 403 Forbidden (bot was kicked). Tocsin is fine." in says
    assert "answered 403 Forbidden. Tocsin is fine." in send().says


def test_an_exception_in_a_kind_is_an_internal_error(requests_mock, caplog):
    requests_mock.post(URL)
    outcome = send(judge=lambda _response: 1 / 0)
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("retry", "internal_error", "tocsin")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        (None, 7, 7.0),
        (None, 0.25, 0.25),
        (None, "12", 12.0),
        ("5", 7, 7.0),
        ("9", 7, 7.0),
        ("9", None, 9.0),
        ("Mon, 02 Mar 2026 09:16:00 GMT", 7, 7.0),
        (None, 10**4000, 21600.0),
        (None, 1e308, 21600.0),
        (None, -1, None),
        (None, float("nan"), None),
        (None, float("inf"), None),
        (None, True, None),
        (None, [7], None),
        (None, {"seconds": 7}, None),
        (None, "soon", None),
        ("soon", 7, 7.0),
        ("5", "soon", 5.0),
        ("Mon, 02 Mar 2026 09:16:00 GMT", None, 60.0),
    ],
)
def test_a_requested_wait_in_the_body_overrides_the_header(requests_mock, header, body, seconds):
    headers = {"Retry-After": header} if header else {}
    requests_mock.post(URL, status_code=429, headers=headers)
    judgement = Judgement(Reason.HTTP_STATUS, verdict=Verdict.RETRY, retry_after=body)
    assert send(judge=lambda _response: judgement).retry_after == seconds


@pytest.mark.parametrize(
    "fields",
    [
        {"signing": "standard", "signing_secret": "no base64!"},
        {
            "signing": "standard",
            "signing_secret": "whsec_MDEyMzQ1Njc4OWFi",
            "signing_secret_old": "no base64!",
        },
        {"headers": (Header("X-A", "line\nbreak"),)},
        {"headers": (Header("X:A", "x"),)},
        {"headers": (Header("X-A", "語"),)},
        {"auth": "bearer", "auth_secret": "line\r\nbreak"},
        {"auth": "header", "auth_username": "X-A\r\nX-B", "auth_secret": "x"},
    ],
    ids=ascii,
)
def test_settings_that_cannot_be_written_as_a_request_send_nothing(receiver, fields):
    outcome = send(receiver.url, **fields)
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("failed", "template_error", "input")
    assert "Nothing was sent" in outcome.says
    assert receiver.connections == 0


def test_unreadable_certificate_authorities_send_nothing(receiver):
    outcome = send(receiver.url.replace("http:", "https:"), ca_pem="no certificate")
    assert (outcome.verdict, outcome.reason) == ("retry", "tls_untrusted")
    assert "cannot be read" in outcome.says
    assert receiver.connections == 0


def test_everything_is_sent_through_one_function_which_requires_a_policy():
    senders = {module for module in MODULES if "delivery.sender.send" in imports_of(module)}
    assert senders == {"delivery.channel_test", "delivery.queue.pulse", "delivery.worker"}
    with pytest.raises(TypeError, match="policy"):
        sender.send(message_of(Settings(url="http://127.0.0.1/")), Settings())
