"""The OpenAPI 3.1 document, generated from the routes, their scopes and their types."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Flask, current_app
from msgspec import Struct
from werkzeug.routing import Rule

from config import VERSION
from web.accounts.api_tokens import SCOPES
from web.api.channel_members import describe_channel
from web.api.operation import Operation, describe
from web.auth.access import HEALTH, require_scope, scopes_of, takes_token_anywhere
from web.services import services

bp = Blueprint("openapi", __name__)

_PATHS = ("/api/", "/ingest/", "/metrics")
_ARGUMENT = re.compile(r"<(?:(int):)?(\w+)>")
_REF = "#/components/schemas/{name}"
_ERRORS = {
    400: "The request cannot be read, or an object in it has two members of the same name.",
    401: "The token is missing, unknown or expired.",
    403: "The token lacks the scope.",
    404: "There is no such row.",
    409: "The state of the row does not allow this, or another user has changed it.",
    412: "The channel is not of the version in If-Match.",
    413: "The body is too large.",
    422: "A member or a parameter is invalid; `errors` has the messages by name.",
    429: "Too many tests are running; wait for the seconds in Retry-After.",
    500: "Tocsin made a mistake; its log has the details.",
    503: "Nothing was stored, because the database is unavailable or too much waits.",
}
_HEADERS = {
    "ETag": "The version of the channel, and a hash of what is shown.",
    "Idempotency-Key": "A request that repeats it gets the first response and stores nothing.",
    "If-Match": "The entity tag of the channel that may be changed; the version counts.",
    "If-None-Match": "The entity tag of what is known: then the answer is 304.",
    "Link": "The address of the next page, if there is one.",
    "Location": "The address of the new row.",
    "Retry-After": "The number of seconds to wait.",
    "Tocsin-Note": "How many alerts notify nobody, or that a list is cut.",
}
_DESCRIPTION = """Tocsin delivers alerts to channels, with retries and a log.

Create a token on the page Tokens. Below `/api/v2` and `/ingest`, and for posting alerts, it may
also be the password of Basic authentication, or a part of the path: `/t/<token>` before the path.
Errors are problem documents (RFC 9457). Below `/api/v2` they are JSON strings, as in Alertmanager.
"""


class Problem(Struct):
    """A problem document (RFC 9457). `errors` has messages by member or parameter.

    The log has the `request_id`, which every answer also has in the header `X-Request-ID`.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    errors: dict[str, list[str]] | msgspec.UnsetType = msgspec.UNSET


@bp.get("/api/v1/openapi.json")
@require_scope(*SCOPES)
@describe({200: dict[str, Any]})
def document():
    """Return this document, to a token with any scope."""
    return build_document(current_app)


def build_document(app: Flask) -> dict[str, Any]:
    """Return the document of an app."""
    paths, schemas = _build_parts(app)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tocsin", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": services().config.base_url}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    }


@lru_cache(maxsize=1)
def _build_parts(app: Flask) -> tuple[dict[str, dict], dict[str, Any]]:
    """Return the paths and the schemas, which take a third of a second to build."""
    rules = list(documented_rules(app))
    components = _components([operation_of(app, rule) for rule in rules])
    paths: dict[str, dict] = {}
    for rule in rules:
        path = _ARGUMENT.sub(r"{\2}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(app, rule, method, components)
    shown = {name: schema for name, schema in components.items() if not name.endswith("Query")}
    return paths, shown


def documented_rules(app: Flask) -> Iterator[Rule]:
    """Yield the rules of machines, but not the same ones below `/t/<token>`."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(_PATHS) or rule.endpoint in HEALTH:
            yield rule


def operation_of(app: Flask, rule: Rule) -> Operation:
    """Return what is said of the view of a rule."""
    view: Any = app.view_functions[rule.endpoint]
    return view.operation


def _components(operations: list[Operation]) -> dict[str, Any]:
    """Return the schemas of all types by name."""
    types: list[Any] = [Problem]
    for operation in operations:
        types += [kind for kind in operation.answers.values() if kind not in (None, str)]
        types += [kind for kind in (operation.query, operation.body) if kind is not None]
    components = msgspec.json.schema_components(types, ref_template=_REF)[1]
    answers = (components["ChannelAnswer"], components["VersionAnswer"])
    describe_channel(components["ChannelBody"], *answers)
    return components


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _operation(app: Flask, rule: Rule, method: str, components: dict[str, Any]) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    known = operation_of(app, rule)
    summary, _, description = (view.__doc__ or "").partition("\n\n")
    words = description.split()
    scopes = scopes_of(app, rule.endpoint)
    if scopes:
        words.append(f"Needs the scope {' or '.join(f'`{scope}`' for scope in scopes)}.")
    shown: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{rule.rule}").strip("_"),
        "tags": [_tag(rule)],
        "summary": summary,
        "description": " ".join(words),
        "security": _security(app, rule),
        "parameters": _parameters(rule, known, components),
        "responses": _responses(app, rule, known),
    }
    if known.body is not None:
        content: dict[str, Any] = {"schema": _schema(known.body)}
        if known.example is not None:
            content["example"] = known.example
        shown["requestBody"] = {
            "required": not known.optional,
            "content": {"application/json": content},
        }
    return shown


def _tag(rule: Rule) -> str:
    if rule.rule.startswith("/api/v1/"):
        return rule.rule.split("/")[3]
    if rule.rule.startswith("/api/v2/"):
        return "alertmanager"
    return "ingest" if rule.rule.startswith("/ingest/") else "operating"


def _security(app: Flask, rule: Rule) -> list[dict[str, list]]:
    if not scopes_of(app, rule.endpoint):
        return []
    schemes: list[dict[str, list]] = [{"token": []}]
    if takes_token_anywhere(app, rule.endpoint):
        schemes.append({"password": []})
    return schemes


def _parameters(rule: Rule, known: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind, name in _ARGUMENT.findall(rule.rule):
        schema = {"type": "integer", "minimum": 1} if kind else {"type": "string"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for name in known.takes:
        schema = {"type": "string", "description": _HEADERS[name]}
        found.append({"name": name, "in": "header", "required": False, "schema": schema})
    if known.query is not None:
        for name, schema in components[known.query.__name__]["properties"].items():
            schema = _without_null(schema)
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is absent and never null."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) == 1:
        return others[0]
    return {name: value for name, value in schema.items() if value is not None}


def _responses(app: Flask, rule: Rule, known: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in known.answers.items():
        response: dict[str, Any] = {"description": "Success."}
        if status == 304:
            response["description"] = "Nothing has changed."
        if kind is not None:
            response["content"] = {known.media_type: {"schema": _schema(kind)}}
        if known.gives:
            response["headers"] = {name: _header(name) for name in known.gives}
        responses[str(status)] = response
    for status in sorted(_errors(app, rule, known)):
        responses[str(status)] = _error(rule, status)
    return responses


def _errors(app: Flask, rule: Rule, known: Operation) -> set[int]:
    """Return the statuses of the errors that a view can answer with."""
    if rule.endpoint in HEALTH:
        return set(known.errors)
    errors = {*known.errors, 500, 503}
    if scopes_of(app, rule.endpoint):
        errors |= {401, 403}
    if known.body is not None:
        errors |= {400, 413}
    return errors


def _error(rule: Rule, status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"application/problem+json": {"schema": _schema(Problem)}}
    if rule.rule.startswith("/api/v2/"):
        content = {"application/json": {"schema": {"type": "string"}}}
    response: dict[str, Any] = {"description": _ERRORS[status], "content": content}
    if status in (429, 503):
        response["headers"] = {"Retry-After": _header("Retry-After")}
    return response


def _header(name: str) -> dict[str, Any]:
    return {"description": _HEADERS[name], "schema": {"type": "string"}}
