"""The table of reasons: actor, verdict and sentences of each, and the hints of statuses."""

import pytest

from delivery.outcome import (
    PROXY_TEXT,
    REASONS,
    Actor,
    Outcome,
    Reason,
    Verdict,
    status_hint,
    status_line,
)

VERDICTS = {"delivered", "accepted", "retry", "failed", "gone", "blocked"}
ACTORS = {"input", "policy", "network", "receiver", "proxy", "tocsin"}

# The reasons of design §2, each with its actor and its verdict.
DESIGN = {
    "ok": ("receiver", "delivered"),
    "ok_truncated": ("receiver", "delivered"),
    "accepted": ("receiver", "accepted"),
    "http_status": ("receiver", "failed"),
    "redirect": ("receiver", "failed"),
    "body_says_error": ("receiver", "failed"),
    "too_large": ("receiver", "retry"),
    "timeout_connect": ("network", "retry"),
    "timeout_total": ("receiver", "retry"),
    "connect_refused": ("network", "retry"),
    "connection_closed": ("receiver", "retry"),
    "protocol_error": ("receiver", "retry"),
    "tls_expired": ("receiver", "retry"),
    "tls_not_yet_valid": ("receiver", "retry"),
    "tls_self_signed": ("receiver", "retry"),
    "tls_untrusted": ("receiver", "retry"),
    "tls_hostname": ("receiver", "retry"),
    "tls_protocol": ("receiver", "retry"),
    "tls_handshake": ("receiver", "retry"),
    "tls_not_tls": ("receiver", "retry"),
    "dns_failure": ("network", "retry"),
    "dns_timeout": ("network", "retry"),
    "blocked_address": ("policy", "blocked"),
    "invalid_url": ("input", "failed"),
    "template_error": ("input", "failed"),
    "internal_error": ("tocsin", "retry"),
}

CONTEXT = {
    "receiver": "hooks.example:8443",
    "answer": "404 Not Found",
    "detail": "some detail",
    "seconds": 10,
}


def test_the_table_has_exactly_the_reasons_of_the_design():
    assert set(REASONS) == set(DESIGN) == set(Reason)


def test_the_verdicts_and_actors_are_those_of_the_design():
    assert set(Verdict) == VERDICTS
    assert set(Actor) == ACTORS


@pytest.mark.parametrize("reason", DESIGN)
def test_every_reason_has_the_actor_and_verdict_of_the_design(reason):
    assert (REASONS[reason].actor, REASONS[reason].verdict) == DESIGN[reason]


@pytest.mark.parametrize("reason", DESIGN)
def test_every_sentence_replaces_all_its_placeholders(reason):
    for template in (REASONS[reason].says, REASONS[reason].hint):
        sentence = template.format(**CONTEXT)
        assert "{" not in sentence
        assert "}" not in sentence
        assert "  " not in sentence
    assert REASONS[reason].says.format(**CONTEXT).endswith((".", "detail"))


@pytest.mark.parametrize("reason", DESIGN)
@pytest.mark.parametrize("detail", ["{", "}", "{detail}", "{receiver.__class__}", "{0}", "%s"])
def test_a_detail_from_the_receiver_is_never_a_placeholder(reason, detail):
    for template in (REASONS[reason].says, REASONS[reason].hint):
        sentence = template.format(**{**CONTEXT, "detail": detail})
        assert ("{detail}" not in template) or detail in sentence


@pytest.mark.parametrize(
    "reason", [reason for reason, (actor, _) in DESIGN.items() if actor in ("receiver", "network")]
)
def test_every_failure_outside_tocsin_names_the_receiver(reason):
    assert CONTEXT["receiver"] in REASONS[reason].says.format(**CONTEXT)


@pytest.mark.parametrize("reason", sorted(set(DESIGN) - {"ok", "http_status"}))
def test_every_failure_says_what_to_do(reason):
    assert REASONS[reason].hint.endswith(".")


def test_a_proxy_that_answered_is_distinguished_from_the_receiver():
    sentence = PROXY_TEXT.says.format(**CONTEXT)
    assert sentence.startswith("Not the receiver hooks.example:8443 but something in front of it")
    assert PROXY_TEXT.actor == Actor.PROXY
    assert PROXY_TEXT.hint.endswith(".")


def test_the_sentence_of_a_timeout_names_the_seconds():
    assert "10 s" in REASONS["timeout_total"].says.format(**CONTEXT)


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_a_hint_and_a_line(status):
    hint = status_hint(status)
    assert hint.endswith(".")
    assert "{" not in hint
    assert status_line(status).startswith(str(status))


@pytest.mark.parametrize("status", [0, 99, 600, 999, 1000])
def test_an_unassigned_status_has_a_hint_and_a_line(status):
    assert status_hint(status).endswith(".")
    assert status_line(status) == str(status)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, "200 OK"),
        (204, "204 No Content"),
        (302, "302 Found"),
        (404, "404 Not Found"),
        (410, "410 Gone"),
        (502, "502 Bad Gateway"),
    ],
)
def test_a_status_line_has_the_registered_phrase(status, line):
    assert status_line(status) == line


@pytest.mark.parametrize("status", [299, 419, 599])
def test_a_status_without_a_registered_phrase_is_the_number_alone(status):
    assert status_line(status) == str(status)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (401, "credentials"),
        (404, "path"),
        (405, "method"),
        (410, "gone"),
        (413, "large"),
        (429, "too many"),
        (500, "its log"),
        (599, "its log"),
    ],
)
def test_the_hint_of_a_status_names_what_to_check(status, word):
    assert word in status_hint(status)


def outcome_of(verdict):
    return Outcome(verdict, Reason.OK, Actor.RECEIVER, "says", "hint", "hooks.example", 1.0)


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
def test_only_delivered_and_accepted_are_good(verdict):
    outcome = outcome_of(Verdict(verdict))
    assert outcome.good == (verdict in ("delivered", "accepted"))


def test_an_outcome_is_immutable():
    outcome = outcome_of(Verdict.DELIVERED)
    with pytest.raises(AttributeError):
        outcome.verdict = Verdict.FAILED
