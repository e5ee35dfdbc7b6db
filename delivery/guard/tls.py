"""TLS of the sender: whom to trust, what to tell of a connection, and which reason a failure has."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.x509.oid import NameOID

from delivery.outcome import WORDS

MOST_NAMES = 5

# OpenSSL's codes of X509_verify_cert (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_OTHER_NAME = (62, 64)
_UNKNOWN_ISSUER = (2, 19, 20, 21)
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)
_NO_COMMON_VERSION = (
    "PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
)


@dataclass(frozen=True)
class Certificate:
    """What a page tells of a receiver's certificate. The texts are the receiver's."""

    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    @classmethod
    def read(cls, der: bytes | None) -> "Certificate | None":
        """The certificate in DER, or None when there is none that can be read."""
        try:
            given = x509.load_der_x509_certificate(der or b"")
            return cls(
                _issuer(given), _names(given), given.not_valid_before_utc, given.not_valid_after_utc
            )
        except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            return None


@lru_cache(maxsize=64)
def context_for(
    verify: bool, ca_pem: str, ca_file: Path | None, socket_class: type
) -> ssl.SSLContext:
    """A client context: this system's authorities, Mozilla's, those of TOCSIN_CA_FILE and of the channel.

    Kept, because loading the authorities takes longer than a whole exchange. Raises ssl.SSLError on a broken PEM.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = socket_class
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(str(ca_file))
    if ca_pem.strip():
        context.load_verify_locations(cadata=ca_pem)
    return context


def refuse_broken_pem(text: str) -> None:
    """Raises ValueError with a sentence when `text` is not one or several certificates in PEM form."""
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError(
            "This is no certificate in PEM form (-----BEGIN CERTIFICATE----- …)."
        ) from None


def describe(sock: ssl.SSLSocket, now: float) -> str:
    """What a page tells of a connection at `now` (epoch seconds): `TLSv1.3, issued by R11, 61 days left`."""
    version, certificate = (
        sock.version() or "TLS",
        Certificate.read(sock.getpeercert(binary_form=True)),
    )
    if certificate is None:
        return version
    issuer = [WORDS["issued_by"].format(certificate.issuer)] if certificate.issuer else []
    days = (certificate.not_after - datetime.fromtimestamp(now, UTC)).days
    return ", ".join(
        [version, *issuer, WORDS["day_left" if days == 1 else "days_left"].format(days)]
    )


def reason_of(error: ssl.SSLError, certificate: Certificate | None = None) -> tuple[str, str]:
    """The reason of a failed handshake, and a detail for its sentence, from the certificate where that could be seen."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrusted(error, certificate)
    code = (error.reason or "").upper()
    if any(part in code for part in _NOT_TLS):
        return "tls_not_tls", ""
    if any(part in code for part in _NO_COMMON_VERSION):
        return "tls_protocol", ""
    return "tls_handshake", code.replace("_", " ").lower() or WORDS["handshake_closed"]


def _distrusted(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None
) -> tuple[str, str]:
    code = error.verify_code
    if code == _EXPIRED:
        return "tls_expired", WORDS["on"].format(
            _day(certificate.not_after)
        ) if certificate else WORDS["some_time_ago"]
    if code == _NOT_YET_VALID:
        return "tls_not_yet_valid", _day(certificate.not_before) if certificate else WORDS[
            "some_later_day"
        ]
    if code == _SELF_SIGNED:
        return "tls_self_signed", ""
    if code in _OTHER_NAME:
        return "tls_hostname", (certificate and ", ".join(certificate.names[:MOST_NAMES])) or WORDS[
            "other_names"
        ]
    if code in _UNKNOWN_ISSUER:
        return "tls_untrusted", WORDS["unknown_issuer"].format(
            (certificate and certificate.issuer) or WORDS["somebody"]
        )
    return "tls_untrusted", (error.verify_message or "").rstrip(".").lower()


def _day(moment: datetime) -> str:
    return f"{moment.day} {WORDS['months'].split()[moment.month - 1]} {moment.year}"


def _issuer(given: x509.Certificate) -> str:
    oids = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return next(
        (str(one.value) for oid in oids for one in given.issuer.get_attributes_for_oid(oid)), ""
    )


def _names(given: x509.Certificate) -> tuple[str, ...]:
    try:
        names = given.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(
            str(one.value) for one in given.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        )
    return (
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    )
