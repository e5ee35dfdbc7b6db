"""Errors of the API, as problem documents (RFC 9457)."""

import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Response, make_response, request
from werkzeug.http import HTTP_STATUS_CODES

from logs import request_id

_OF_ALERTMANAGER = re.compile("(/t/[^/]*)?/api/v2(/|$)")


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
    """Return a problem document; its title is the phrase of the status.

    Clients of Alertmanager read a JSON string instead, with 400 for any invalid request.
    """
    if _OF_ALERTMANAGER.match(request.path):
        status = 400 if status == 422 else status
        return make_response(json.dumps(detail), status, {"Content-Type": "application/json"})
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
