"""TLS of the sender, with real certificates: trust, and the reasons of failed handshakes."""

import re
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from certificates import server_context
from receiver import Receiver
from test_sender import ALLOW, send

from delivery.guard.exchange import Policy
from delivery.guard.tls import Certificate


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure():
    """Return a function that starts a TLS receiver with a certificate."""
    started = []

    def start(certificate, **changes):
        started.append(Receiver(tls=server_context(certificate, **changes)))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


def pem_of(authority):
    return authority.cert_pem.bytes().decode()


def reach(receiver, **fields):
    return send(f"https://127.0.0.1:{receiver.port}/", timeout=3, **fields)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(secure, authority):
    receiver = secure(authority.issue_cert("127.0.0.1"))
    outcome = reach(receiver)
    assert (outcome.verdict, outcome.reason, outcome.actor) == (
        "retry",
        "tls_untrusted",
        "receiver",
    )
    assert receiver.requests == []


def test_an_authority_of_the_channel_is_trusted(secure, authority):
    outcome = reach(secure(authority.issue_cert("127.0.0.1")), ca_pem=pem_of(authority))
    assert outcome.verdict == "delivered"
    [tls] = [stage for stage in outcome.stages if stage.name == "tls"]
    assert tls.detail.startswith("TLSv1.3, issued by trustme")


def test_an_authority_of_the_installation_is_trusted(secure, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    receiver = secure(authority.issue_cert("127.0.0.1"))
    outcome = send(
        f"https://127.0.0.1:{receiver.port}/", Policy(ALLOW, tmp_path / "ca.pem"), timeout=3
    )
    assert outcome.verdict == "delivered"


def test_verification_may_be_switched_off(secure, authority):
    assert (
        reach(secure(authority.issue_cert("other.example")), verify_tls=False).verdict
        == "delivered"
    )


def test_a_certificate_for_another_name_has_its_own_reason(secure, authority):
    outcome = reach(secure(authority.issue_cert("other.example")), ca_pem=pem_of(authority))
    assert outcome.reason == "tls_hostname"


def test_an_expired_and_a_future_certificate_have_their_own_reasons(secure, authority):
    now = datetime.now(UTC)
    expired = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=2)
    )
    future = authority.issue_cert("127.0.0.1", not_before=now + timedelta(days=2))
    assert reach(secure(expired), ca_pem=pem_of(authority)).reason == "tls_expired"
    assert reach(secure(future), ca_pem=pem_of(authority)).reason == "tls_not_yet_valid"


def test_a_receiver_with_old_tls_versions_only_has_its_own_reason(secure, authority):
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        receiver = secure(authority.issue_cert("127.0.0.1"), maximum_version=ssl.TLSVersion.TLSv1_1)
    assert reach(receiver, ca_pem=pem_of(authority)).reason == "tls_protocol"


def test_a_receiver_without_a_handshake_ends_at_the_timeout(receiver):
    outcome = send(f"https://127.0.0.1:{receiver.port}/")
    assert outcome.reason == "timeout_total"


# --- details from the certificate -----------------------------------------------------------------

PAST = datetime(2020, 3, 3, tzinfo=UTC)
FUTURE = datetime(2100, 12, 24, tzinfo=UTC)


def test_an_expired_certificate_shows_its_last_day(secure, authority):
    receiver = secure(
        authority.issue_cert(
            "127.0.0.1", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=PAST
        )
    )
    outcome = reach(receiver, ca_pem=pem_of(authority))
    assert outcome.says.startswith(
        f"The certificate of 127.0.0.1:{receiver.port} expired on 3 March 2020."
    )
    assert outcome.hint == "Renew the certificate of the receiver."


def test_a_future_certificate_shows_its_first_day(secure, authority):
    receiver = secure(authority.issue_cert("127.0.0.1", not_before=FUTURE))
    assert "is valid only from 24 December 2100." in reach(receiver, ca_pem=pem_of(authority)).says


def test_a_certificate_for_other_names_shows_them(secure, authority):
    receiver = secure(
        authority.issue_cert(
            "one.example", "*.two.example", "10.1.2.3", common_name="three.example"
        )
    )
    assert (
        "is for one.example, *.two.example, 10.1.2.3 and not for this host."
        in reach(receiver, ca_pem=pem_of(authority)).says
    )


def test_an_unknown_issuer_is_named(secure):
    receiver = secure(trustme.CA(organization_name="Example Homelab").issue_cert("127.0.0.1"))
    assert "this machine does not know its issuer, Example Homelab." in reach(receiver).says


def test_the_certificate_is_fetched_over_a_second_connection_without_a_request(secure, authority):
    receiver = secure(authority.issue_cert("other.example"))
    outcome = reach(receiver, ca_pem=pem_of(authority))
    assert (receiver.connections, receiver.requests) == (2, [])
    assert [stage.name for stage in outcome.stages] == ["policy", "dns", "tcp", "tls", "verdict"]
    assert not outcome.sent


def test_without_the_certificate_there_is_still_a_reason(secure, authority, monkeypatch):
    monkeypatch.setattr("delivery.guard.tls.fetch_certificate", lambda *_args: None)
    receiver = secure(
        authority.issue_cert(
            "127.0.0.1", not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=PAST
        )
    )
    assert "expired some time ago" in reach(receiver, ca_pem=pem_of(authority)).says
    receiver = secure(authority.issue_cert("127.0.0.1", not_before=FUTURE))
    assert "valid only from a later day" in reach(receiver, ca_pem=pem_of(authority)).says
    assert (
        "is for another name and not for this host."
        in reach(secure(authority.issue_cert("other.example")), ca_pem=pem_of(authority)).says
    )
    assert (
        "its issuer, which the certificate does not name"
        in reach(secure(authority.issue_cert("127.0.0.1"))).says
    )


@pytest.mark.parametrize("verify", [True, False])
def test_the_tls_stage_shows_version_issuer_and_days_left(secure, authority, verify):
    certificate = authority.issue_cert(
        "127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=61, hours=1)
    )
    outcome = reach(secure(certificate), ca_pem=pem_of(authority), verify_tls=verify)
    [tls] = [stage for stage in outcome.stages if stage.name == "tls"]
    assert re.fullmatch(r"TLSv1\.3, issued by trustme v[0-9.]+, 61 days left", tls.detail)


@pytest.mark.parametrize("der", [None, b"", b"nonsense", b"\x30\x82"])
def test_an_unreadable_certificate_is_none(der):
    assert Certificate.read(der) is None
