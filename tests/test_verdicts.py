"""How a kind's own judgement becomes an outcome, and the failures that are Tocsin's side's: nothing went out."""

from dataclasses import replace

import pytest
from receiver import raw, reply
from test_layers import MODULES, imports_of
from test_sender import POLICY, message_of

from delivery import sender
from delivery.response import Judgement, judge_by_status
from delivery.settings import Header, Settings

NOW = 1772442900.0


def send(url, judge=judge_by_status, **fields):
    settings = Settings(url=url, timeout=2, **fields)
    return sender.send(
        replace(message_of(settings), judge=judge), settings, POLICY, now=lambda: NOW
    ).outcome


@pytest.mark.parametrize(
    ("judgement", "verdict", "actor", "says"),
    [
        (Judgement("accepted"), "accepted", "receiver", "has queued the message"),
        (
            Judgement("body_says_error", "no such robot"),
            "failed",
            "receiver",
            "refused the message: no such robot.",
        ),
        (
            Judgement("body_says_error", "too fast", verdict="retry"),
            "retry",
            "receiver",
            "too fast",
        ),
        (Judgement("body_says_error", "gone", verdict="gone"), "gone", "receiver", "gone"),
        (
            Judgement("body_says_error", "a page", actor="proxy"),
            "failed",
            "proxy",
            "is not the receiver, but something before it: a page.",
        ),
    ],
)
def test_a_kind_may_judge_a_200_by_its_body(receiver, judgement, verdict, actor, says):
    receiver.script = reply(200, b'{"code": 1}')
    seen = []
    outcome = send(receiver.url, lambda answer: seen.append(answer.text) or judgement)
    assert seen == ['{"code": 1}']
    assert (outcome.verdict, outcome.reason, outcome.actor, outcome.status) == (
        verdict,
        judgement.reason,
        actor,
        200,
    )
    assert says in outcome.says


def test_a_detail_of_a_kind_is_masked_made_visible_and_bounded(receiver):
    detail = "no t0ken-of-the-path \u202e" + "x" * 1000
    outcome = send(receiver.url, lambda _answer: Judgement("body_says_error", detail))
    assert "no •••• \\u202exxx" in outcome.says
    assert len(outcome.says) < 600


@pytest.mark.parametrize(
    "script",
    [
        reply(302, Location="https://new.example/"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    ],
)
def test_a_redirect_and_an_answer_that_broke_off_are_no_kinds_to_judge(receiver, script):
    receiver.script = script
    assert send(receiver.url, lambda _answer: pytest.fail("was asked")).verdict in (
        "failed",
        "retry",
    )


def test_what_a_vendor_says_beside_its_status_stands_in_the_sentence(receiver):
    receiver.script = reply(403, b"no")
    says = send(
        receiver.url, lambda _answer: Judgement("http_status", "bot was kicked", verdict="gone")
    ).says
    assert "answered 403 Forbidden (bot was kicked). Tocsin is fine." in says
    assert "answered 403 Forbidden. Tocsin is fine." in send(receiver.url).says


def test_a_kind_that_fails_itself_is_our_fault_and_no_exception(receiver, caplog):
    outcome = send(receiver.url, lambda _answer: 1 / 0)
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
def test_a_wait_may_stand_in_the_header_or_in_the_body_which_counts_first(
    receiver, header, body, seconds
):
    receiver.script = reply(429, **({"Retry_After": header} if header else {}))
    outcome = send(
        receiver.url, lambda _answer: Judgement("http_status", verdict="retry", retry_after=body)
    )
    assert outcome.retry_after == seconds


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
def test_a_damaged_row_that_cannot_be_written_as_a_request_sends_nothing(receiver, fields):
    outcome = send(receiver.url, **fields)
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("failed", "template_error", "input")
    assert "Nothing was sent" in outcome.says
    assert receiver.connections == 0


def test_a_damaged_row_whose_authorities_cannot_be_read_sends_nothing(receiver):
    outcome = send(receiver.url.replace("http:", "https:"), ca_pem="no certificate")
    assert (outcome.verdict, outcome.reason) == ("retry", "tls_untrusted")
    assert "cannot be read" in outcome.says
    assert receiver.connections == 0


def test_there_is_one_door_out_and_no_way_through_it_without_the_policy():
    senders = {module for module in MODULES if "delivery.sender.send" in imports_of(module)}
    assert senders == {"delivery.channel_test", "delivery.worker"}
    with pytest.raises(TypeError, match="policy"):
        sender.send(message_of(Settings(url="http://127.0.0.1/")), Settings())
