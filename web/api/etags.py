"""Entity tags of channels: `If-None-Match` of a read, and `If-Match` of a write.

A tag is the version of the channel and a hash of what is shown: its health changes without a save.
`If-Match` compares the version alone.
"""

import hashlib
import json
from typing import Any

from flask import Response, make_response, request

from models import Channel
from web.problems import ApiError


def tagged(body: dict[str, Any], status: int = 200) -> Response:
    """Return a response with its entity tag; to a GET that knows the tag, 304 without a body."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    response = make_response(body, status)
    response.set_etag(f"{body['version']}-{digest}" if "version" in body else digest)
    if request.method == "GET":
        response.make_conditional(request)
    return response


def check_if_match(channel: Channel) -> None:
    """Refuse to change a channel of another version than `If-Match` names.

    Raises:
        ApiError: the version is another one.
    """
    if is_conditional() and not request.if_match.star_tag:
        versions = {tag.partition("-")[0] for tag in request.if_match.as_set()}
        if str(channel.version) not in versions:
            raise changed_since()


def is_conditional() -> bool:
    """Return True if the request has `If-Match`."""
    return "If-Match" in request.headers


def changed_since() -> ApiError:
    """Return the error for a channel that is of another version than `If-Match` names."""
    message = "Nothing was changed. The channel is not of the version in If-Match: read it again."
    return ApiError(412, message)
