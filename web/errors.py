"""Error handlers: every failure says who answered, what happened and what to do next.

The answer is a page, a fragment for htmx, or a problem document for a machine. No response carries
a stack trace.
"""

import logging
import math
import secrets

from flask import Blueprint, Response, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from peewee import IntegrityError, PeeweeException
from werkzeug.exceptions import HTTPException, MethodNotAllowed, SecurityError
from werkzeug.http import HTTP_STATUS_CODES

from database import describe_error
from delivery.redaction import format_traceback_without_message
from logs import request_id
from web.auth.access import SignInRequired, WrongOrigin, is_machine_request
from web.auth.login import is_posted_edit, posted_channel_id, sign_in_page, sign_in_required
from web.channels.editor import redraw_edit
from web.channels.provisioned import ProvisionedChannel
from web.problems import ApiError, problem
from web.services import services

bp = Blueprint("errors", __name__)

log = logging.getLogger("tocsin.web")

MAX_DRAINED_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_HOST_LENGTH = 100
RETRY_AFTER = 5  # seconds, while the database fails

_TITLES = {
    400: "Tocsin could not read this request",
    413: "Request too large",
    500: "Tocsin made a mistake",
    503: "Tocsin is temporarily unavailable",
}
_MESSAGES = {
    400: "The request was incomplete or malformed. Go back, reload the page and try again.",
    404: "The address may be mistyped, or the item was deleted.",
    405: "This address only accepts forms. Go back to the channels and start there.",
    413: "A form may have 1 MB in all, and a payload 64 KB. Nothing was saved. "
    "Go back, shorten the form and try again.",
}
_MACHINE_MESSAGES = {
    404: "There is no such address below this one: /api/v1/openapi.json lists those of the API.",
    413: "A request may have 1 MB in all. Nothing was saved.",
}
_EXPIRED = "This page has expired, or its cookie was missing, so nothing was done. "
_COOKIES = " If this happens again, allow cookies for this address."


def failure(status: int, message: str, **context) -> Response:
    """Return an error page, its fragment for htmx, or a problem document for a machine."""
    if is_machine_request():
        return problem(status, message, **context)
    title = _TITLES.get(status) or HTTP_STATUS_CODES.get(status, "Error").capitalize()
    context |= {"title": title, "message": message, "status": status}
    if "HX-Request" in request.headers:
        return _notice("_failure.html", **context)
    return make_response(render_template("failure.html", **context), status)


def _notice(template: str, status: int, **context) -> Response:
    """Return a fragment that htmx puts into the page's notice, whatever the request's target."""
    response = make_response(render_template(template, **context), status)
    response.headers.update({"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"})
    return response


@bp.app_errorhandler(CSRFError)
def _csrf_error(_error: CSRFError):
    if "HX-Request" in request.headers:
        message = (
            f"{_EXPIRED}What you typed is still here, and the page works again: "
            "press the button again."
        )
        return failure(400, message, new_csrf_token=True)
    if request.endpoint == "signin.login":
        # The user signed in in another tab; an interrupted edit must not get lost here.
        message = f"{_EXPIRED}Sign in again; an edit that you started is kept.{_COOKIES}"
        return sign_in_page(400, message)
    message = f"{_EXPIRED}What you typed is below: press the button again.{_COOKIES}"
    editor = _editor_again(message, 400)
    return editor or failure(400, f"{_EXPIRED}Go back, reload the page and try again.")


@bp.app_errorhandler(WrongOrigin)
def _wrong_origin(error: WrongOrigin):
    if request.endpoint == "signin.login":
        return sign_in_page(400, str(error))
    return _editor_again(str(error), 400) or failure(400, str(error))


@bp.app_errorhandler(SecurityError)
def _unknown_host(_error: SecurityError):
    # A page needs a host of ours for its links.
    message = (
        f"Tocsin's pages are not served under the host name {request.host[:MAX_HOST_LENGTH]!r}. "
        "Use an IP address or the name in TOCSIN_PUBLIC_URL, or set TOCSIN_PUBLIC_URL to the "
        "address that browsers use. A reverse proxy must pass on their Host header.\n"
    )
    return Response(message, 400, mimetype="text/plain")


@bp.app_errorhandler(SignInRequired)
def _not_signed_in(_error: SignInRequired):
    if "HX-Request" in request.headers:
        return _notice("_interrupted.html", 401)
    try:
        return sign_in_required()
    except HTTPException as error:  # the form is too large to be read
        return _http_error(error)


@bp.app_errorhandler(ApiError)
def _api_error(error: ApiError):
    response = failure(error.status, error.message, errors=error.errors)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Tocsin"'
    if error.retry_after:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


@bp.app_errorhandler(HTTPException)
def _http_error(error: HTTPException):
    status = error.code or 500
    if status < 400:
        return error
    if status == 413:
        _drain()
    response = failure(status, _message_of(error, status))
    if isinstance(error, MethodNotAllowed):
        response.allow.update(error.valid_methods or ())
    return response


@bp.after_app_request
def without_page(response: Response) -> Response:
    """Return a redirect to a machine without the page that says so."""
    if response.location and response.mimetype == "text/html" and is_machine_request():
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


def _message_of(error: HTTPException, status: int) -> str:
    """Return the message of a view, or ours instead of the general one of the framework."""
    message = error.description or ""
    is_general = message == type(error).description
    if is_machine_request():
        if isinstance(error, MethodNotAllowed):
            return f"This address accepts only {', '.join(sorted(error.valid_methods or ()))}."
        return _MACHINE_MESSAGES.get(status, message) if is_general else message
    if status == 404 and not is_general:
        return message
    return _MESSAGES.get(status, message)


@bp.app_errorhandler(ProvisionedChannel)
def _provisioned(error: ProvisionedChannel):
    return failure(409, str(error))


@bp.app_errorhandler(IntegrityError)
def _conflict(error: IntegrityError):
    if is_machine_request():
        return _database_error(error)  # 503: a sender of alerts must send them again
    log.warning("a conflict with another request at %s: %s", request.endpoint, error)
    message = (
        "Another request changed or deleted this at the same time. "
        "Nothing was saved: reload the page and try again."
    )
    return _editor_again(message, 409) or failure(409, message)


@bp.app_errorhandler(PeeweeException)
def _database_error(error: Exception):
    log.error("database error: %s", error)
    is_stranger = g.get("person") is None
    sentence = describe_error(error, services().config.database, to_stranger=is_stranger)
    message = f"{sentence} Nothing was saved."
    response = _editor_again(message, 503) or failure(503, message)
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


@bp.app_errorhandler(Exception)
def _internal_error(error: Exception):
    reference = request_id() or secrets.token_hex(8)
    traceback = format_traceback_without_message(error)
    log.error("internal error %s at %s: %s", reference, request.endpoint, traceback)
    return failure(
        500,
        "The request failed, and nothing you typed was saved. "
        f"Tocsin's log has the details under {reference}.",
    )


def _editor_again(message: str, status: int) -> Response | None:
    """Return the editor with the posted form, or None if no form of the editor was posted."""
    # Without a person, the sign-in was not checked, and the editor would show a stored URL.
    if g.get("person") is None or "HX-Request" in request.headers or not is_posted_edit():
        return None
    try:
        return redraw_edit(posted_channel_id(), request.form, status, message)
    except (PeeweeException, HTTPException):
        return None


def _drain() -> None:
    """Read the rest of the request: a connection closed before that would lose the response."""
    stream = request.environ["wsgi.input"]
    for _ in range(MAX_DRAINED_BYTES // CHUNK_BYTES):
        if not stream.read(CHUNK_BYTES):
            return
