"""Middleware for a reverse proxy in front of Tocsin."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.middleware.proxy_fix import ProxyFix

from config.networks import Network

# A prefix begins every link: with two slashes it would be a host.
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")


class BehindProxy:
    """Accepts `X-Forwarded-…` and `Remote-User` from trusted networks only.

    The user's name is stored in `environ["tocsin.user"]`, the address of the client in
    `environ["REMOTE_ADDR"]`, an IPv4 address always as such.
    """

    def __init__(self, app: WSGIApplication, trusted: tuple[Network, ...]):
        self._app = app
        self._trusted = trusted
        self._proxied_app = ProxyFix(self._call_forwarded, x_for=1, x_proto=1, x_host=1, x_prefix=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request, with the proxy's headers if the proxy is trusted."""
        environ["REMOTE_ADDR"] = client_address(environ.get("REMOTE_ADDR", ""))
        if not self._is_trusted(environ["REMOTE_ADDR"]):
            return self._app(environ, start_response)
        # WSGI decodes headers as latin-1 (PEP 3333); proxies send names in UTF-8.
        name = environ.get("HTTP_REMOTE_USER", "").encode("latin-1").decode("utf-8", "replace")
        environ["tocsin.user"] = name
        if not _PREFIX.fullmatch(environ.get("HTTP_X_FORWARDED_PREFIX", "")):
            environ.pop("HTTP_X_FORWARDED_PREFIX", None)
        return self._proxied_app(environ, start_response)

    def _call_forwarded(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = client_address(environ["REMOTE_ADDR"])
        return self._app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._trusted)


@lru_cache(maxsize=1024)
def client_address(text: str) -> str:
    """Return an address without a port, and an IPv4-mapped one as the IPv4 address.

    A server on `[::]` sees IPv4 clients as `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2), and some
    proxies append the port of the client to `X-Forwarded-For`.
    """
    match = re.fullmatch(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+", text)
    bare = (match[1] or match[2] or "") if match else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)
