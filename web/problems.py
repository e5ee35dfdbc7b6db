"""Errors of the API, as problem documents (RFC 9457)."""

from flask import Response, make_response
from werkzeug.http import HTTP_STATUS_CODES


class ApiError(Exception):
    """A request fails with this status, message and further members of the problem document.

    `retry_after` is the number of seconds that the client should wait.
    """

    def __init__(self, status: int, message: str, retry_after: float = 0, **members):
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after
        self.members = members


def problem(status: int, detail: str, **members) -> Response:
    """Return a problem document; its title is the phrase of the status."""
    title = HTTP_STATUS_CODES.get(status, "")
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return make_response(body, status, {"Content-Type": "application/problem+json"})
