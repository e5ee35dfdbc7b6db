"""Valid and invalid certificates for TLS receivers, of an authority created for the tests."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from functools import cached_property

import trustme


def server_context(certificate, **changes) -> ssl.SSLContext:
    """Return a server context with this certificate and these attributes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    for name, value in changes.items():
        setattr(context, name, value)
    return context


class Certificates:
    """The server contexts that FAULTS names, each created at its first use."""

    def __init__(self):
        self.authority = trustme.CA()
        self._contexts = {}

    @property
    def pem(self) -> str:
        """The authority that a channel has to trust."""
        return self.authority.cert_pem.bytes().decode()

    @cached_property
    def _good(self):
        return self.authority.issue_cert("127.0.0.1", "good.test", "xn--bcher-kva.test")

    def context(self, name: str) -> ssl.SSLContext:
        """Return the context with this name."""
        if name not in self._contexts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 on purpose.
                self._contexts[name] = self._create(name)
        return self._contexts[name]

    def _create(self, name):
        now = datetime.now(UTC)
        day = timedelta(days=1)
        issue = self.authority.issue_cert
        version = ssl.TLSVersion
        match name:
            case "good":
                return server_context(self._good)
            case "expired":
                return server_context(
                    issue("127.0.0.1", not_before=now - 9 * day, not_after=now - day)
                )
            case "not yet valid":
                return server_context(issue("127.0.0.1", not_before=now + day))
            case "another name":
                return server_context(issue("other.example"))
            case "no SAN":
                return server_context(issue(common_name="127.0.0.1"))
            case "self-signed":
                return server_context(_alone(trustme.CA()))
            case "unknown authority":
                return server_context(trustme.CA().issue_cert("127.0.0.1"))
            case "unknown authority and its root":
                other = trustme.CA()
                leaf = other.issue_cert("127.0.0.1")
                return server_context(
                    _leaf(leaf, leaf.cert_chain_pems[0].bytes(), other.cert_pem.bytes())
                )
            case "intermediate":
                return server_context(self.authority.create_child_ca().issue_cert("127.0.0.1"))
            case "no intermediate":
                leaf = self.authority.create_child_ca().issue_cert("127.0.0.1")
                return server_context(_leaf(leaf, leaf.cert_chain_pems[0].bytes()))
            case "TLS 1.0":
                return self._old(minimum_version=version.TLSv1, maximum_version=version.TLSv1)
            case "TLS 1.1":
                return self._old(minimum_version=version.TLSv1_1, maximum_version=version.TLSv1_1)
            case "TLS 1.2":
                return server_context(self._good, maximum_version=version.TLSv1_2)
            case "asks, TLS 1.2":
                return self._asking(maximum_version=version.TLSv1_2)
            case "asks, TLS 1.3":
                return self._asking(minimum_version=version.TLSv1_3)
        raise LookupError(name)

    def _old(self, **changes):
        context = server_context(self._good, **changes)
        context.set_ciphers("ALL:@SECLEVEL=0")  # Otherwise OpenSSL refuses these versions.
        return context

    def _asking(self, **changes):
        context = server_context(self._good, verify_mode=ssl.CERT_REQUIRED, **changes)
        self.authority.configure_trust(context)
        return context


def _leaf(leaf, *chain: bytes):
    return trustme.LeafCert(leaf.private_key_pem.bytes(), chain[0], list(chain[1:]))


def _alone(authority):
    return trustme.LeafCert(authority.private_key_pem.bytes(), authority.cert_pem.bytes(), [])
