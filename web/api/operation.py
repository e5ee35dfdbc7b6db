"""What the OpenAPI document says of a view, and the bodies that views read."""

import codecs
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from flask import request

from delivery.json_text import JsonError, parse_strict
from web.api.channel_schema import explain
from web.problems import ApiError

Body = TypeVar("Body", bound=msgspec.Struct)


class Operation(NamedTuple):
    """The types of a request and of its answers.

    `query` and `body` are structs, or a type with another schema. `answers` are the types of
    successes by status (None: no body), `errors` the statuses that this view adds to those that
    every view has. `optional` says that the body may be absent. `takes` and `gives` are the headers
    of requests and of answers.
    """

    answers: Mapping[int, Any]
    errors: tuple[int, ...] = ()
    query: type[msgspec.Struct] | None = None
    body: Any = None
    optional: bool = False
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    example: Any = None
    media_type: str = "application/json"


def describe(answers: Mapping[int, Any], *errors: int, **members: Any) -> Callable:
    """Describe a view for the OpenAPI document; `members` are those of `Operation`."""

    def mark(view: Callable) -> Callable:
        view.operation = Operation(answers, errors, **members)  # type: ignore[attr-defined]
        return view

    return mark


def read_body(kind: type[Body]) -> Body:
    """Return the body of the request, where an empty one counts as an empty object.

    Raises:
        ApiError: it is not JSON, or a member is unknown or of another type.
    """
    data = request.get_data().removeprefix(codecs.BOM_UTF8) or b"{}"
    try:
        parse_strict(data)
        return msgspec.json.decode(data, type=kind)
    except JsonError as error:
        message = f"The body could not be read as JSON. {error} Nothing was changed."
        raise ApiError(400, message) from None
    except msgspec.ValidationError as error:
        path, message = explain(str(error))
        raise invalid(path.removeprefix("-") or "body", message) from None


def invalid(name: str, message: str) -> ApiError:
    """Return the error for a member or a parameter."""
    detail = "Nothing was changed. “errors” has the messages by member."
    return ApiError(422, detail, errors={name: [message]})


def to_json(value: Any) -> Any:
    """Return structs as what Flask turns into JSON."""
    return msgspec.to_builtins(value)
