"""Middleware for a reverse proxy in front of Tocsin."""

import ipaddress
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.proxy_fix import ProxyFix

from config_values import Network


class BehindProxy:
    """Accepts `X-Forwarded-…` and `Remote-User` from trusted networks only.

    The user's name is stored in `environ["tocsin.user"]`.
    """

    def __init__(self, app: WSGIApplication, trusted: tuple[Network, ...]):
        self._app = app
        self._trusted = trusted
        self._proxied_app = ProxyFix(app, x_for=1, x_proto=1, x_host=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request, with the proxy's headers if the proxy is trusted."""
        if not self._is_trusted(environ.get("REMOTE_ADDR", "")):
            return self._app(environ, start_response)
        # WSGI decodes headers as latin-1 (PEP 3333); proxies send names in UTF-8.
        name = environ.get("HTTP_REMOTE_USER", "").encode("latin-1").decode("utf-8", "replace")
        environ["tocsin.user"] = name
        return self._proxied_app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._trusted)
