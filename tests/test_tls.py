"""TLS of the sender, with real certificates: whom it trusts, and what it says when it does not."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from receiver import read_request
from test_sender import ALLOW, send

from delivery.dial import Policy


class TlsReceiver:
    """Answers 204 over TLS, one connection after the other."""

    def __init__(self, context):
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with connection, self._context.wrap_socket(connection, server_side=True) as secure:
                    self.heard.append(read_request(secure))
                    secure.sendall(b"HTTP/1.1 204 Done\r\n\r\n")
            except OSError:
                continue

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(request):
    """Starts a TLS receiver with a certificate; closed at the end."""
    started = []

    def start(certificate, **changes):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        for name, value in changes.items():
            setattr(context, name, value)
        started.append(TlsReceiver(context))
        return started[-1]

    yield start
    for one in started:
        one.close()


def pem_of(authority):
    return authority.cert_pem.bytes().decode()


def reach(receiver, **fields):
    return send(f"https://127.0.0.1:{receiver.port}/", timeout=3, **fields)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(secure, authority):
    receiver = secure(authority.issue_cert("127.0.0.1"))
    outcome = reach(receiver)
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("retry", "tls_untrusted", "receiver")
    assert receiver.heard == []


def test_an_authority_of_the_channel_is_trusted(secure, authority):
    outcome = reach(secure(authority.issue_cert("127.0.0.1")), ca_pem=pem_of(authority))
    assert outcome.verdict == "delivered"
    [tls] = [stage for stage in outcome.stages if stage.name == "tls"]
    assert tls.detail.startswith("TLSv1.3, issued by trustme")


def test_an_authority_of_the_whole_app_is_trusted(secure, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    receiver = secure(authority.issue_cert("127.0.0.1"))
    outcome = send(f"https://127.0.0.1:{receiver.port}/", Policy(ALLOW, tmp_path / "ca.pem"), timeout=3)
    assert outcome.verdict == "delivered"


def test_a_person_may_switch_the_check_off(secure, authority):
    assert reach(secure(authority.issue_cert("other.example")), verify_tls=False).verdict == "delivered"


def test_a_certificate_for_another_name_is_told(secure, authority):
    outcome = reach(secure(authority.issue_cert("other.example")), ca_pem=pem_of(authority))
    assert outcome.reason == "tls_hostname"


def test_an_expired_and_a_future_certificate_are_told_apart(secure, authority):
    now = datetime.now(UTC)
    old = authority.issue_cert("127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))
    young = authority.issue_cert("127.0.0.1", not_before=now + timedelta(days=2))
    assert reach(secure(old), ca_pem=pem_of(authority)).reason == "tls_expired"
    assert reach(secure(young), ca_pem=pem_of(authority)).reason == "tls_not_yet_valid"


def test_a_receiver_that_only_speaks_old_tls_is_told(secure, authority):
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        receiver = secure(authority.issue_cert("127.0.0.1"), maximum_version=ssl.TLSVersion.TLSv1_1)
    assert reach(receiver, ca_pem=pem_of(authority)).reason == "tls_protocol"


def test_a_receiver_that_never_shakes_hands_is_not_waited_for_longer_than_the_timeout(receiver):
    outcome = send(f"https://127.0.0.1:{receiver.port}/")
    assert outcome.reason == "timeout_total"
