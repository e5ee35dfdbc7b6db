"""Errors of the endpoints for machines, as problem documents (RFC 9457)."""

from flask import Response, make_response
from werkzeug.http import HTTP_STATUS_CODES


class ApiError(Exception):
    """A refused request: status, detail, seconds to wait, and further members of the document."""

    def __init__(self, status: int, why: str, retry_after: float = 0, **members):
        super().__init__(why)
        self.status = status
        self.why = why
        self.retry_after = retry_after
        self.members = members


def problem(status: int, detail: str, **members) -> Response:
    """Return a problem document; its title is the phrase of the status."""
    title = HTTP_STATUS_CODES.get(status, "")
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return make_response(body, status, {"Content-Type": "application/problem+json"})
