"""TLS of the sender: trust, the description of a connection, and the reason of a failure."""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.x509.oid import NameOID

from delivery.guard.exchange import Exchange, ExchangeError
from delivery.guard.sockets import DeadlineTlsSocket, open_socket
from delivery.outcome import Reason

MAX_CERTIFICATE_SECONDS = 2.0
MAX_NAMES = 5

# OpenSSL's codes of X509_verify_cert (x509_vfy.h).
_NOT_YET_VALID = 9
_EXPIRED = 10
_SELF_SIGNED = 18
_OTHER_NAME = (62, 64)
_UNKNOWN_ISSUER = (2, 19, 20, 21)
_NOT_TLS = re.compile(
    "WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG"
)
_NO_COMMON_VERSION = re.compile(
    "PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|VERSION_TOO_LOW"
)


@dataclass(frozen=True)
class Certificate:
    """The parts of a receiver's certificate that pages show. The texts come from the receiver."""

    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    @classmethod
    def read(cls, der: bytes | None) -> "Certificate | None":
        """Return the certificate in DER form, or None if it cannot be read."""
        try:
            parsed = x509.load_der_x509_certificate(der or b"")
            return cls(
                _issuer(parsed),
                _names(parsed),
                parsed.not_valid_before_utc,
                parsed.not_valid_after_utc,
            )
        except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            return None


_UNKNOWN = Certificate("", (), datetime.min, datetime.max)


@lru_cache(maxsize=64)
def context_for(verify: bool, ca_pem: str, ca_file: Path | None) -> ssl.SSLContext:
    """Return a client context.

    It trusts the authorities of this system, of Mozilla, of TOCSIN_CA_FILE and of the channel.
    Contexts are cached, because loading the authorities takes longer than an exchange.

    Raises: ssl.SSLError if a PEM text is invalid.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = DeadlineTlsSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    if ca_pem.strip():
        context.load_verify_locations(cadata=ca_pem)
    return context


def fetch_certificate(
    family: int, peer: tuple, host: str, exchange: Exchange
) -> Certificate | None:
    """Return the certificate of a receiver that is not trusted, or None.

    Python's `ssl` does not provide it after a failed handshake, so a second connection fetches
    it from the same checked address and sends nothing.
    """
    try:
        seconds = min(MAX_CERTIFICATE_SECONDS, exchange.seconds_left())
        with open_socket(family, peer, seconds) as sock:
            sock.settimeout(min(MAX_CERTIFICATE_SECONDS, exchange.seconds_left()))
            with context_for(False, "", None).wrap_socket(sock, server_hostname=host) as secure:
                return Certificate.read(secure.getpeercert(binary_form=True))
    except (OSError, ExchangeError):
        return None


def refuse_broken_pem(text: str) -> None:
    """Check that `text` consists of certificates in PEM form.

    Raises: ValueError with a sentence for the user.
    """
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):  # TypeError: it is not ASCII
        raise ValueError(
            "This is not a certificate in PEM form (-----BEGIN CERTIFICATE----- …)."
        ) from None


def describe(sock: ssl.SSLSocket, now: float) -> str:
    """Return a connection in words: `TLSv1.3, issued by R11, 61 days left`.

    `now` is in epoch seconds.
    """
    parts = [sock.version() or "TLS"]
    certificate = Certificate.read(sock.getpeercert(binary_form=True))
    if certificate is None:
        return parts[0]
    if certificate.issuer:
        parts.append(f"issued by {certificate.issuer}")
    days = (certificate.not_after - datetime.fromtimestamp(now, UTC)).days
    parts.append(f"{days} day left" if days == 1 else f"{days} days left")
    return ", ".join(parts)


def reason_of(error: OSError, certificate: Certificate | None = None) -> tuple[Reason, str]:
    """Return the reason of a failed handshake, and a detail for its sentence.

    The detail comes from the certificate, if that is known.
    """
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT_TOTAL, ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _reason_of_distrust(error, certificate)
    code = (getattr(error, "reason", None) or "").upper()
    if _NOT_TLS.search(code):
        return Reason.TLS_NOT_TLS, ""
    if _NO_COMMON_VERSION.search(code):
        return Reason.TLS_PROTOCOL, ""
    return Reason.TLS_HANDSHAKE, code.replace("_", " ").lower() or "the connection was closed"


def _reason_of_distrust(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None
) -> tuple[Reason, str]:
    code = error.verify_code
    known = certificate or _UNKNOWN
    if code == _EXPIRED:
        return (
            Reason.TLS_EXPIRED,
            f"on {known.not_after:%-d %B %Y}" if certificate else "some time ago",
        )
    if code == _NOT_YET_VALID:
        return (
            Reason.TLS_NOT_YET_VALID,
            f"{known.not_before:%-d %B %Y}" if certificate else "a later day",
        )
    if code == _SELF_SIGNED:
        return Reason.TLS_SELF_SIGNED, ""
    if code in _OTHER_NAME:
        return Reason.TLS_HOSTNAME, ", ".join(known.names[:MAX_NAMES]) or "another name"
    if code in _UNKNOWN_ISSUER:
        issuer = known.issuer or "which the certificate does not name"
        return Reason.TLS_UNTRUSTED, f"this machine does not know its issuer, {issuer}"
    return Reason.TLS_UNTRUSTED, error.verify_message.rstrip(".").lower()


def _issuer(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(oid):
            return str(attribute.value)
    return ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in attributes)
    return (
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    )
