"""What a machine is told that may not, or asked for what cannot be: a problem document (RFC 9457)."""

from flask import Response, make_response
from werkzeug.http import HTTP_STATUS_CODES

from web import WORDS


class ApiError(Exception):
    """A request that is not done: the status and words of its answer, the seconds to wait first, and further members."""

    def __init__(self, status: int, why: str, retry_after: float = 0, **members):
        super().__init__(why)
        self.status, self.why, self.retry_after, self.members = status, why, retry_after, members


def problem(status: int, words: str, **members) -> Response:
    """A problem document, with what more there is to say."""
    title = WORDS["titles"].get(str(status), HTTP_STATUS_CODES.get(status, ""))
    body = {"type": "about:blank", "title": title, "status": status, "detail": words, **members}
    return make_response(body, status, {"Content-Type": "application/problem+json"})
