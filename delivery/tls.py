"""TLS of the sender: whom to trust, what to tell of a connection, and which reason a failure has."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

import certifi

# OpenSSL's codes of X509_verify_cert (x509_vfy.h).
_CERTIFICATE_REASONS = {
    9: "tls_not_yet_valid",
    10: "tls_expired",
    18: "tls_self_signed",
    62: "tls_hostname",
    64: "tls_hostname",
}
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_NO_COMMON_VERSION = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")


@lru_cache(maxsize=64)
def context_for(verify: bool, ca_pem: str, ca_file: Path | None, socket_class: type) -> ssl.SSLContext:
    """A client context: this system's authorities, Mozilla's, those of TOCSIN_CA_FILE and of the channel.

    Kept, because loading the authorities takes longer than a whole exchange. Raises ssl.SSLError on a broken PEM.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = socket_class
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
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
        raise ValueError("not certificates in PEM form") from None


def describe(sock: ssl.SSLSocket) -> str:
    """What a page tells of a connection: `TLSv1.3`, and the issuer where the certificate was verified."""
    certificate = sock.getpeercert() or {}
    parts: Any = certificate.get("issuer", ())
    issuer = {key: value for part in parts for key, value in part}
    name = issuer.get("organizationName") or issuer.get("commonName")
    return ", ".join(text for text in (sock.version() or "TLS", f"issued by {name}" if name else "") if text)


def reason_of(error: ssl.SSLError) -> tuple[str, str]:
    """The reason of a failed handshake, and a detail for its sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = (error.verify_message or "").rstrip(".")
        return _CERTIFICATE_REASONS.get(error.verify_code, "tls_untrusted"), detail
    code = (error.reason or "").upper()
    if any(part in code for part in _NOT_TLS):
        return "tls_not_tls", ""
    if any(part in code for part in _NO_COMMON_VERSION):
        return "tls_protocol", ""
    return "tls_handshake", code.replace("_", " ").lower() or "no reason given"
