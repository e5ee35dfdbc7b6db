"""Store the alerts of ordinary requests without Flask, which takes longer than all else in them."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from peewee import PeeweeException

import database
from clock import now_ms
from config import Config
from delivery.alerts.received import IngestResult
from web.api.alerts import (
    ALERTMANAGER,
    FAILURE,
    MAX_BYTES,
    NATIVE,
    NOTE_HEADER,
    native_answer,
    note_of,
    store_ordinary,
)
from web.auth.tokens import check_token
from web.problems import ApiError
from web.security_headers import STRICT_TRANSPORT, headers_of_all

_TOKEN = re.compile("Bearer (tocsin_[A-Za-z0-9_-]+)")
# With one of these, a request is not an ordinary one.
_UNUSUAL = ("HTTP_IDEMPOTENCY_KEY", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING", "HTTP_COOKIE")


class DirectIngest:
    """WSGI middleware for posts of alerts with a bearer token.

    A request that is unusual or invalid goes on to Flask, which alone answers with errors. One that
    could not be stored does too, with the reason.
    """

    def __init__(self, app: Flask, config: Config):
        self._app = app
        self._wsgi_app = app.wsgi_app
        self._headers = [
            *headers_of_all(config).items(),
            ("Vary", "HX-Request"),
            ("Cache-Control", "no-store"),
        ]
        public = urlsplit(config.public_url)
        self._https_host = public.netloc if public.scheme == "https" else ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Store the alerts of a request, or let Flask handle it."""
        results = None
        if self._is_ordinary(environ) and _has_token(environ):
            results = self._store(environ)
        if results is None:
            return self._wsgi_app(environ, start_response)
        return self._respond(environ, start_response, results)

    def _is_ordinary(self, environ: WSGIEnvironment) -> bool:
        if environ["REQUEST_METHOD"] != "POST":
            return False
        if environ.get("PATH_INFO") not in (NATIVE, ALERTMANAGER):
            return False
        length = environ.get("CONTENT_LENGTH", "")
        if not re.fullmatch("[0-9]{1,8}", length) or int(length) > MAX_BYTES:
            return False
        return not any(name in environ for name in _UNUSUAL)

    def _store(self, environ: WSGIEnvironment) -> list[IngestResult] | None:
        """Return what was stored; None if Flask has to answer."""
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(body)
        writer = self._app.extensions["tocsin"].batch_writer
        try:
            return store_ordinary(writer, environ["PATH_INFO"], body)
        except Exception as error:  # noqa: BLE001 (Flask raises it again, and answers with it)
            environ[FAILURE] = error
            return None

    def _respond(
        self, environ: WSGIEnvironment, start_response: StartResponse, results: list[IngestResult]
    ) -> Iterable[bytes]:
        headers = [*self._headers]
        status = HTTPStatus.OK
        answer = ""
        if environ["PATH_INFO"] == NATIVE:
            status = HTTPStatus.ACCEPTED
            answer = native_answer(results)
            headers.append(("Content-Type", "application/json"))
        else:
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
            note = note_of(results)
            if note:
                headers.append((NOTE_HEADER, note))
        is_https = environ["wsgi.url_scheme"] == "https"
        if is_https or (self._https_host and self._https_host == environ.get("HTTP_HOST")):
            headers.append(("Strict-Transport-Security", STRICT_TRANSPORT))
        headers.append(("Content-Length", str(len(answer))))
        start_response(f"{status.value} {status.phrase.upper()}", headers)
        return [answer.encode()]


def _has_token(environ: WSGIEnvironment) -> bool:
    """Return True if a request has a token for ingest; if not, Flask refuses it."""
    token = _TOKEN.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if not token:
        return False
    try:
        database.connect()
        check_token(token[1], ("ingest",), now_ms())
    except (ApiError, PeeweeException):
        return False
    return True
