"""Pages of a list: a limit, and an opaque cursor at which the next page begins."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, make_response, request, url_for

from models import MAX_ID
from web.api.operation import invalid, to_json

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_CURSOR = re.compile("([0-9]{1,19})(?:-([0-9]{1,19}))?", re.ASCII)


class PageQuery(msgspec.Struct):
    """The parameters of every list."""

    cursor: str | None = None
    limit: int = DEFAULT_LIMIT


def check_parameters(query: type[msgspec.Struct]) -> None:
    """Refuse a parameter that a list does not have.

    Raises:
        ApiError: there is such a parameter, or one that is repeated.
    """
    names = query.__struct_fields__
    for name, values in request.args.lists():
        if name not in names:
            raise invalid(name[:80], f"There is no such parameter. There are {', '.join(names)}.")
        if len(values) > 1:
            raise invalid(name, "This parameter is repeated.")


def read_limit() -> int:
    """Return the number of rows of a page."""
    text = request.args.get("limit", str(DEFAULT_LIMIT))
    if re.fullmatch("[0-9]{1,3}", text, re.ASCII) and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise invalid("limit", f"Enter a number from 1 to {MAX_LIMIT}.")


def read_cursor() -> tuple[int, int]:
    """Return the numbers of the cursor; two zeros on the first page."""
    text = request.args.get("cursor", "")
    if not text:
        return 0, 0
    try:
        padded = text + "=" * (-len(text) % 4)
        decoded = base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
        numbers = _CURSOR.fullmatch(decoded.decode())
    except (binascii.Error, ValueError):
        numbers = None
    if numbers is None:
        raise invalid("cursor", "This is not a cursor: take that of “next”.")
    first, second = numbers.groups("0")
    return min(int(first), MAX_ID), min(int(second), MAX_ID)


def page(name: str, rows: list, place: object | None) -> Response:
    """Return a page with the rows under a name; the next one begins at a place (None: the end)."""
    next_cursor = None
    if place is not None:
        next_cursor = base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")
    body: Mapping[str, Any] = {name: to_json(rows), "next": next_cursor}
    response = make_response(body)
    if next_cursor:
        arguments = {**request.args, **(request.view_args or {}), "cursor": next_cursor}
        address = url_for(request.endpoint or "", **arguments)
        response.headers["Link"] = f'<{address}>; rel="next"'
    return response
