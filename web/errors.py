"""Every failure in words: who answered, what happened, what to do. No stack trace and no bare 500 ever leaves."""

import logging
import math
import secrets

from flask import Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from peewee import DatabaseError, InterfaceError
from werkzeug.exceptions import HTTPException, SecurityError

from database import describe_error
from delivery.redaction import format_traceback_without_message
from web import WORDS
from web.auth.access import SignInNeeded, for_machines
from web.auth.login import interrupted, refused
from web.channels.editor import drawn_again
from web.problems import ApiError, problem
from web.services import services

log = logging.getLogger("tocsin.web")

MOST_DRAINED = 64 * 1024 * 1024


def register(app: Flask) -> None:
    """Puts the handlers of all failures into the app."""
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SecurityError, _foreign)
    app.register_error_handler(SignInNeeded, _nobody)
    app.register_error_handler(ApiError, _denied)
    app.register_error_handler(DatabaseError, _database)
    app.register_error_handler(InterfaceError, _database)
    app.register_error_handler(Exception, _bug)


def _forged(_error: CSRFError):
    words = WORDS["outdated"]
    if "HX-Request" in request.headers:
        return failure(400, words + WORDS["outdated_here"], renewed=True)
    if (
        request.endpoint == "signin.login"
    ):  # signed in meanwhile in another tab: the sealed edit must not be lost here
        return refused(400, words + WORDS["outdated_sign_in"])
    return _again(words + WORDS["outdated_typed"], 400) or failure(
        400, words + WORDS["outdated_lost"]
    )


def _foreign(_error: SecurityError):
    # Without a host that is ours there is no address to draw a page with.
    return Response(WORDS["foreign"] + "\n", 400, mimetype="text/plain")


def _nobody(_error: SignInNeeded):
    if "HX-Request" in request.headers:
        return _noticed(
            make_response(
                render_template("_interrupted.html", words=WORDS["interrupted_here"]), 401
            )
        )
    try:
        return interrupted()
    except HTTPException as too_much:  # a form that cannot even be read
        return _http(too_much)


def _denied(denied: ApiError):
    response = failure(denied.status, denied.why, **denied.members)
    if denied.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Tocsin"'
    if denied.retry_after:
        response.headers["Retry-After"] = str(math.ceil(denied.retry_after))
    return response


def _http(error: HTTPException):
    status = error.code or 500
    if status < 400:
        return error
    if status == 413:
        _drain()
    ours = (
        error.description
        if status == 404 and error.description != type(error).description
        else None
    )
    of_pages = "" if for_machines() else WORDS["failures"].get(str(status), "")
    response = failure(status, ours or of_pages or error.description or "")
    if status == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _database(error: Exception):
    log.error("database: %s", error)
    words = f"{describe_error(error, services().config.database)} Nothing was saved."
    return _again(words, 503) or failure(503, words)


def _bug(error: Exception):
    reference = secrets.token_hex(4)
    log.error(
        "bug %s at %s: %s", reference, request.endpoint, format_traceback_without_message(error)
    )
    return failure(500, WORDS["bug"].format(reference))


def failure(status: int, words: str, **more) -> Response:
    """A page that says what happened, a fragment of it for htmx, or a problem document for a machine."""
    if for_machines():
        return problem(status, words, **more)
    shown = {
        "title": WORDS["titles"].get(str(status), WORDS["other"]),
        "words": words,
        "status": status,
        **more,
    }
    if "HX-Request" in request.headers:
        return _noticed(make_response(render_template("_failure.html", **shown), status))
    return make_response(render_template("failure.html", **shown), status)


def _noticed(fragment: Response) -> Response:
    """The fragment, sent to the place for notices whatever was asked for."""
    fragment.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"})
    return fragment


def _again(words: str, status: int) -> Response | None:
    """The editor with what was typed, when a form of the editor was posted and the page can be drawn; else None."""
    edits = (
        request.blueprint in ("channels", "checks")
        and request.method == "POST"
        and "kind" in request.form
    )
    if not edits or "HX-Request" in request.headers:
        return None
    try:
        return drawn_again((request.view_args or {}).get("channel_id"), request.form, status, words)
    except (DatabaseError, HTTPException):
        return None


def _drain() -> None:
    """Reads what is still coming: a connection that is closed on unread bytes is reset, and the answer is lost with it."""
    stream, drained = request.environ["wsgi.input"], 0
    while drained < MOST_DRAINED and (piece := stream.read(64 * 1024)):
        drained += len(piece)
