"""A reverse proxy in front of Tocsin: only one that is trusted may say who asks, from where, and under which name."""

import ipaddress
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.proxy_fix import ProxyFix

from config import Network


class BehindProxy:
    """Takes `X-Forwarded-…` and `Remote-User` from the networks of TOCSIN_TRUSTED_PROXIES, and from nobody else.

    The person stands in `environ["tocsin.person"]`.
    """

    def __init__(self, app: WSGIApplication, trusted: tuple[Network, ...]):
        self._direct, self._trusted = app, trusted
        self._fixed = ProxyFix(app, x_for=1, x_proto=1, x_host=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._trusts(environ.get("REMOTE_ADDR", "")):
            return self._direct(environ, start_response)
        # A header is latin-1 to WSGI (PEP 3333); proxies write names in UTF-8.
        named = environ.get("HTTP_REMOTE_USER", "").encode("latin-1").decode("utf-8", "replace")
        environ["tocsin.person"] = named
        return self._fixed(environ, start_response)

    def _trusts(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._trusted)
