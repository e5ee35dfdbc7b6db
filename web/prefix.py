"""The path below which a reverse proxy serves Tocsin, such as `/tocsin`."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import request

from web.services import services


class BelowPrefix:
    """Middleware that has every link begin with a prefix.

    Without a prefix, it is that of the proxy. It is taken off the path of a request, unless the
    proxy has done that.
    """

    def __init__(self, app: WSGIApplication, prefix: str):
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request with the prefix as its SCRIPT_NAME (PEP 3333)."""
        prefix = self._prefix or environ.get("SCRIPT_NAME", "").rstrip("/")
        path = environ.get("PATH_INFO", "")
        environ["SCRIPT_NAME"] = prefix
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return self._app(environ, start_response)


def public_link(path: str) -> str:
    """Return the absolute link to a path that `url_for` has built."""
    return services().config.base_url + path.removeprefix(request.script_root)
