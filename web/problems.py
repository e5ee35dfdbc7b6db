"""Errors of the API, as problem documents (RFC 9457)."""

from dataclasses import dataclass
from typing import Any

from flask import Response, make_response
from werkzeug.http import HTTP_STATUS_CODES

from logs import request_id


@dataclass(eq=False)
class ApiError(Exception):
    """A request fails with this status and message, and `errors` by member.

    `retry_after` is the number of seconds that the client should wait.
    """

    status: int
    message: str
    retry_after: float = 0
    errors: dict[str, list[str]] | None = None


def problem(status: int, detail: str, errors: dict | None = None) -> Response:
    """Return a problem document; its title is the phrase of the status."""
    title = HTTP_STATUS_CODES.get(status, "")
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if request_id():
        body["request_id"] = request_id()
    if errors:
        body["errors"] = errors
    return make_response(body, status, {"Content-Type": "application/problem+json"})
