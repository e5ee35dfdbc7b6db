"""An id for every request: in the log, in the response and on pages of errors."""

import logging
import re
import secrets
import time
from collections.abc import Iterable
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import logs

HEADER = "X-Request-ID"
FROM_PROXY = "tocsin.user"  # `BehindProxy` sets it if the proxy is trusted
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# What follows these in a path is a secret.
_SECRET = re.compile(r"(?i)^(.*/+(?:t|setup|lab/+in)/+)[^/]+")
_MAX_PATH_LENGTH = 300

log = logging.getLogger("tocsin.access")


class RequestIds:
    """Middleware that gives each request its id, and logs it if wanted.

    The id of a trusted proxy is kept. It stands inside of `BehindProxy`.
    """

    def __init__(self, app: WSGIApplication, *, logs_access: bool = False):
        self._app = app
        self._logs_access = logs_access

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request under its id."""
        number = _given_id(environ) or secrets.token_hex(8)
        status = ""

        def start(line, headers, exc_info=None):
            nonlocal status
            status = line
            return start_response(line, [*headers, (HEADER, number)], exc_info)

        began = time.monotonic()
        with logs.handling(number):
            response = self._app(environ, start)
            if self._logs_access:
                _log_access(environ, status, time.monotonic() - began)
            return response


def _given_id(environ: WSGIEnvironment) -> str:
    if FROM_PROXY not in environ:
        return ""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _SANE.fullmatch(given) else ""


def masked_path(path: str) -> str:
    """Return a path without the secrets in it, as one word of ASCII."""
    return quote(_SECRET.sub(r"\1…", path)[:_MAX_PATH_LENGTH], safe="/…").replace("%E2%80%A6", "…")


def _log_access(environ: WSGIEnvironment, status: str, seconds: float) -> None:
    log.info(
        "request",
        extra={
            "method": quote(environ["REQUEST_METHOD"]),
            "path": masked_path(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")),
            "status": status.partition(" ")[0],
            "address": environ.get("REMOTE_ADDR", ""),
            "milliseconds": round(seconds * 1000, 1),
        },
    )
