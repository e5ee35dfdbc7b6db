"""The path below which a reverse proxy serves Tocsin, such as `/tocsin`."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, request

from config import ConfigError
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


def check_prefix(app: Flask, prefix: str) -> None:
    """Check that no page of Tocsin has a path that begins like the prefix.

    Raises:
        ConfigError: there is one, so that a path could be meant with and without the prefix.
    """
    own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    if prefix and prefix.split("/")[1] in own:
        raise ConfigError(
            f"TOCSIN_PUBLIC_URL: the path {prefix} begins like a page of Tocsin itself; "
            "choose another one, for example /tocsin"
        )


def public_link(path: str) -> str:
    """Return the absolute link to a path that `url_for` has built."""
    return services().config.base_url + path.removeprefix(request.script_root)
