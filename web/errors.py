"""Every failure in words: who answered, what happened, what to do. No stack trace and no bare 500 ever leaves."""

import logging
import secrets

from flask import Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from peewee import DatabaseError, InterfaceError
from werkzeug.exceptions import HTTPException, SecurityError

from delivery.masking import trace
from storage import in_words
from web.editor import open_edit, page
from web.services import services

log = logging.getLogger("tocsin.web")

MOST_DRAINED = 64 * 1024 * 1024

_TITLES = {
    400: "Tocsin could not read this request",
    403: "That is not allowed",
    404: "There is nothing here",
    405: "This address does not take that",
    413: "That is too much at once",
    429: "Too many at once",
    500: "Tocsin made a mistake",
    503: "Tocsin cannot reach its database",
}
_WORDS = {
    400: "The request was not complete or not well formed. Go back, reload the page and try again.",
    404: "The address may be mistyped, or what stood here was deleted.",
    405: "This address is for a button of a form, not for a visit. Go back to the channels and begin there.",
    413: "A form may have 1 MB in all, and a payload 64 KB. Nothing was saved; go back, shorten it and try again.",
}
_OUTDATED = (
    "This page had grown too old, or its cookie was missing, so nothing was done yet. What you typed stands below: "
    "press the button once more. If this comes back, allow cookies for this address."
)


def register(app: Flask) -> None:
    """Puts the handlers of all failures into the app."""
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SecurityError, _foreign)
    app.register_error_handler(DatabaseError, _database)
    app.register_error_handler(InterfaceError, _database)
    app.register_error_handler(Exception, _bug)


def _forged(_error: CSRFError):
    return _again(_OUTDATED, 400) or failure(400, _OUTDATED.split(" What")[0] + " Go back, reload the page and try again.")


def _foreign(_error: SecurityError):
    # Without a host that is ours there is no address to draw a page with.
    words = "This Tocsin is not served under that name. Use its own address, or name it in TOCSIN_PUBLIC_URL."
    return Response(words + "\n", 400, mimetype="text/plain")


def _http(error: HTTPException):
    status = error.code or 500
    if status < 400:
        return error
    if status == 413:
        _drain()
    ours = error.description if status == 404 and error.description != type(error).description else None
    response = failure(status, ours or _WORDS.get(status, error.description or ""))
    if status == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _database(error: Exception):
    log.error("database: %s", error)
    words = f"{in_words(error, services().config.database)} Nothing was saved."
    return _again(words, 503) or failure(503, words)


def _bug(error: Exception):
    reference = secrets.token_hex(4)
    log.error("bug %s at %s: %s", reference, request.endpoint, trace(error))
    return failure(
        500, f"Nothing more happened, and nothing you typed was stored. Tocsin's log has the details under {reference}."
    )


def failure(status: int, words: str) -> Response:
    """A page that says what happened, or a fragment of it for htmx."""
    template = "_failure.html" if "HX-Request" in request.headers else "failure.html"
    return make_response(
        render_template(template, title=_TITLES.get(status, "That did not work"), words=words, status=status), status
    )


def _again(words: str, status: int) -> Response | None:
    """The editor with what was typed, when a form of the editor was posted and the page can be drawn; else None."""
    if request.blueprint not in ("channels", "checks") or request.method != "POST" or "kind" not in request.form:
        return None
    if "HX-Request" in request.headers:
        return None
    try:
        return page(open_edit((request.view_args or {}).get("channel_id"), request.form), status, notice=words)
    except (DatabaseError, HTTPException):
        return None


def _drain() -> None:
    """Reads what is still coming: a connection that is closed on unread bytes is reset, and the answer is lost with it."""
    stream, drained = request.environ["wsgi.input"], 0
    while drained < MOST_DRAINED and (piece := stream.read(64 * 1024)):
        drained += len(piece)
