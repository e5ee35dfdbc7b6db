"""The outcome table: every reason of the design, its actor and verdict, and words without a blank left open."""

import pytest

from delivery.outcome import REASONS, Outcome, status_hint, status_line

VERDICTS = {"delivered", "accepted", "retry", "failed", "gone", "blocked"}
ACTORS = {"input", "policy", "network", "receiver", "proxy", "tocsin"}

# Design §2 names the reasons; §6 says what each ends in where it says anything.
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

BLANKS = {
    "receiver": "hooks.example:8443",
    "answer": "404 Not Found",
    "detail": "some detail",
    "seconds": 10,
}


def test_the_table_holds_exactly_the_reasons_of_the_design():
    assert set(REASONS) == set(DESIGN)


@pytest.mark.parametrize("reason", DESIGN)
def test_every_reason_has_its_actor_and_its_verdict(reason):
    assert (REASONS[reason].actor, REASONS[reason].verdict) == DESIGN[reason]
    assert REASONS[reason].actor in ACTORS
    assert REASONS[reason].verdict in VERDICTS


@pytest.mark.parametrize("reason", DESIGN)
def test_every_sentence_fills_its_blanks_and_leaves_no_brace(reason):
    for words in (REASONS[reason].says, REASONS[reason].hint):
        filled = words.format(**BLANKS)
        assert "{" not in filled
        assert "}" not in filled
        assert "  " not in filled
    assert REASONS[reason].says.format(**BLANKS).endswith((".", "detail"))


@pytest.mark.parametrize("reason", DESIGN)
@pytest.mark.parametrize("detail", ["{", "}", "{detail}", "{receiver.__class__}", "{0}", "%s"])
def test_what_a_receiver_says_is_never_read_as_a_blank(reason, detail):
    for words in (REASONS[reason].says, REASONS[reason].hint):
        filled = words.format(**{**BLANKS, "detail": detail})
        assert ("{detail}" not in words) or detail in filled


@pytest.mark.parametrize(
    "reason", [reason for reason, (actor, _) in DESIGN.items() if actor in ("receiver", "network")]
)
def test_every_failure_out_there_names_who_answered(reason):
    assert BLANKS["receiver"] in REASONS[reason].says.format(**BLANKS)


@pytest.mark.parametrize("reason", sorted(set(DESIGN) - {"ok", "http_status"}))
def test_every_failure_says_what_to_do(reason):
    assert REASONS[reason].hint.endswith(".")


def test_the_sentence_of_a_timeout_says_how_long_it_was():
    assert "10 s" in REASONS["timeout_total"].says.format(**BLANKS)


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_a_hint_and_a_line(status):
    hint = status_hint(status)
    assert hint.endswith(".")
    assert "{" not in hint
    assert status_line(status).startswith(str(status))


@pytest.mark.parametrize("status", [0, 99, 600, 999, 1000])
def test_a_status_that_does_not_exist_has_a_hint_and_a_line_too(status):
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
def test_the_line_of_a_status_has_its_registered_phrase(status, line):
    assert status_line(status) == line


@pytest.mark.parametrize("status", [299, 419, 599])
def test_a_status_without_a_registered_phrase_stands_alone(status):
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
def test_the_hint_of_a_status_says_what_to_look_at(status, word):
    assert word in status_hint(status)


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
def test_only_delivered_and_accepted_are_good(verdict):
    outcome = Outcome(verdict, "ok", "receiver", "says", "hint", "hooks.example", 1.0)
    assert outcome.good == (verdict in ("delivered", "accepted"))


def test_an_outcome_cannot_be_changed():
    outcome = Outcome("delivered", "ok", "receiver", "says", "hint", "hooks.example", 1.0)
    with pytest.raises(AttributeError):
        outcome.verdict = "failed"
