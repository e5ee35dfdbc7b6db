"""Incoming alerts, in the formats of their senders.

A success is sent after the commit; anything else can be sent again. Every address also exists under
`/t/<token>`, for senders that support only a URL.
"""

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, g, request
from peewee import DatabaseError, IntegrityError, InterfaceError
from werkzeug.exceptions import RequestEntityTooLarge

from clock import now_ms
from database import describe_error
from delivery.alerts.parsed import InvalidPayload, ParsedAlerts, Parser, TooManyAlerts
from delivery.alerts.parsers import parse_alertmanager, parse_native
from delivery.alerts.received import NO_CHANNEL, IngestResult
from delivery.alerts.webhooks import parse_uptrace, parse_webhook
from delivery.batch_writer import BatchWriter
from delivery.json_text import JsonError, parse_lenient, parse_strict
from delivery.outbox import OutboxFull
from web import truncation
from web.api import receipts
from web.api.ingest_types import (
    Empty,
    PostedAlert,
    PostedToAlertmanager,
    StoredAlerts,
    UptraceWebhook,
    Webhook,
)
from web.api.operation import describe
from web.api.token_routes import route_with_token
from web.problems import ApiError
from web.services import services

bp = Blueprint("ingest", __name__)
log = logging.getLogger("tocsin.web")

NATIVE = "/api/v1/alerts"
ALERTMANAGER = "/api/v2/alerts"
EXAMPLE = {"name": "Disk full", "status": "open", "labels": {"severity": "critical", "team": "db"}}
MAX_BYTES = 16 * 1024 * 1024
MAX_KEY_LENGTH = 255
RETRY_AFTER = 5
NOTE_HEADER = "Tocsin-Note"
FAILURE = "tocsin.ingest_failure"  # in a WSGI environment: why `DirectIngest` stored nothing


def ingest_route(path: str, *methods: str) -> Callable:
    """Register a view of posted alerts for a path and for `/t/<token>` with this path."""
    return route_with_token(bp, path, *methods, scopes=("ingest",))


@ingest_route(NATIVE, "POST")
@describe(
    {202: StoredAlerts},
    422,
    body=PostedAlert | list[PostedAlert],
    example=EXAMPLE,
    takes=("Idempotency-Key",),
)
def native(**_token) -> Response:
    """Store one alert or a list, all or nothing.

    A request that repeats an `Idempotency-Key` gets the first response and stores nothing.
    """
    body = _read_body()
    key = request.headers.get("Idempotency-Key")
    answer = native_answer(_store_native(body)) if key is None else _answer_once(key, body)
    return Response(answer, 202, content_type="application/json")


def _store_native(
    body: bytes, save: Callable[[list[IngestResult]], None] | None = None
) -> list[IngestResult]:
    """Store the alerts of a body, and call `save` in the same transaction if all are valid."""
    parsed = _parse(parse_native, parse_strict, body)
    if parsed.problems:
        save = None
    results = _store(parsed, save)
    _report(parsed.problems)
    return results


def native_answer(results: list[IngestResult]) -> str:
    """Return the JSON of a response, with the ids of the alerts and of their deliveries."""
    alerts = []
    for result in results:
        alert: dict[str, object] = {"id": result.id, "deliveries": result.deliveries}
        if result.note:
            alert["note"] = result.note
        alerts.append(alert)
    return json.dumps({"alerts": alerts})


def _answer_once(key: str, body: bytes) -> str:
    """Return the response to alerts; a request that repeats the key gets the first response.

    Raises:
        ApiError: The key is invalid, or was used with another body.
    """
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        message = f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters."
        raise ApiError(400, f"{message} Nothing was stored.")
    key_hash = sha256(f"{g.token_id}\0{key}".encode("utf-8", "replace")).hexdigest()
    body_hash = sha256(body).hexdigest()

    def save(results: list[IngestResult]) -> None:
        """Store the response, in the transaction that stores the alerts."""
        receipts.store(key_hash, body_hash, native_answer(results), now_ms())

    answer = receipts.find(key_hash, body_hash, now_ms())
    if answer is not None:
        return answer
    try:
        return native_answer(_store_native(body, save))
    except IntegrityError:
        # A concurrent request may have stored the response.
        answer = receipts.find(key_hash, body_hash, now_ms())
        if answer is None:
            raise
        return answer


@ingest_route(ALERTMANAGER, "POST")
@describe(
    {200: str}, body=list[PostedToAlertmanager], media_type="text/plain", gives=("Tocsin-Note",)
)
def alertmanager(**_token) -> Response:
    """Store alerts as Alertmanager does: 400 if some are invalid, and the others are stored."""
    problems = _store_valid(parse_alertmanager)
    if problems:
        raise ApiError(400, "; ".join(problems))
    return Response("", 200, content_type="text/plain; charset=utf-8")


@ingest_route("/ingest/alertmanager", "POST")
@ingest_route("/ingest/grafana", "POST", "PUT")
@describe({200: Empty}, 422, body=Webhook, gives=("Tocsin-Note",))
def from_alertmanager(**_token):
    """Receive the webhook of Alertmanager (version 4) or Grafana."""
    return _receive_webhook(parse_webhook)


@ingest_route("/ingest/uptrace", "POST")
@describe({200: Empty}, 422, body=UptraceWebhook, gives=("Tocsin-Note",))
def from_uptrace(**_token):
    """Receive Uptrace's webhook."""
    return _receive_webhook(parse_uptrace)


def _receive_webhook(parser: Parser) -> dict:
    _report(_store_valid(parser))
    return {}


def _report(problems: list[str]) -> None:
    """Refuse the request if alerts in it are invalid; the others are stored."""
    if problems:
        details = "; ".join(problems)
        raise ApiError(422, f"Some alerts are invalid; the others are stored. {details}.")


@bp.after_request
def add_note(response: Response) -> Response:
    """Add the note of a request to the response; the vendors' formats have no other place."""
    if "ingest_note" in g:
        response.headers[NOTE_HEADER] = g.ingest_note
    return response


def store_ordinary(writer: BatchWriter, path: str, body: bytes) -> list[IngestResult] | None:
    """Store the alerts of a native post, or of one by a client of Alertmanager.

    Return None, and store nothing, if there is none or one is invalid.

    Raises:
        Exception: whatever `BatchWriter.store` raises.
    """
    now = now_ms()
    try:
        if path == NATIVE:
            parsed = parse_native(parse_strict(body), now)
        else:
            parsed = parse_alertmanager(parse_lenient(body), now)
    except (JsonError, InvalidPayload):
        return None
    if parsed.problems or not parsed.alerts:
        return None
    return writer.store(parsed.alerts, now)


def _store_valid(parser: Parser) -> list[str]:
    """Store the valid alerts of the request, and return what is wrong with the others."""
    parsed = _parse(parser, parse_lenient, _read_body())
    results = _store_truncated(parsed) if parsed.truncated else _store(parsed)
    note = note_of(results)
    if note:
        g.ingest_note = note
    return parsed.problems


def note_of(results: list[IngestResult]) -> str:
    """Return how many alerts notify nobody; empty if there are none."""
    count = sum(result.note == NO_CHANNEL for result in results)
    return f"No channel matches {count} of {len(results)} alerts." if count else ""


def _store_truncated(parsed: ParsedAlerts) -> list[IngestResult]:
    """Store the alerts of a message, and in the same transaction that it came truncated."""
    sender = request.path.rpartition("/")[2]

    def save(_results: list[IngestResult]) -> None:
        truncation.record(sender, parsed.truncated, now_ms())

    results = _store(parsed, save)
    log.warning("%s cut off %d alerts from its message", sender, parsed.truncated)
    return results


def _read_body() -> bytes:
    request.max_content_length = MAX_BYTES
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(
            f"Send at most {MAX_BYTES >> 20} MB at a time. Nothing was stored."
        ) from None


def _parse(parser: Parser, read_json: Callable[[bytes], Any], body: bytes) -> ParsedAlerts:
    try:
        return parser(read_json(body), now_ms())
    except JsonError as error:
        message = f"The body could not be read as JSON. {error} Nothing was stored."
        raise ApiError(400, message) from None
    except TooManyAlerts as error:
        raise ApiError(413, str(error)) from None
    except InvalidPayload as error:
        raise ApiError(422, str(error), errors=error.errors) from None


def _store(
    parsed: ParsedAlerts, also: Callable[[list[IngestResult]], None] | None = None
) -> list[IngestResult]:
    """Return what was stored and committed.

    Raises:
        ApiError: Nothing was stored; the sender must send it again.
        IntegrityError: `also` stored what another request had stored.
    """
    if not parsed.alerts and also is None:
        return []
    try:
        if FAILURE in request.environ:
            raise request.environ[FAILURE]
        return services().batch_writer.store(parsed.alerts, now_ms(), also)
    except IntegrityError:
        raise
    except OutboxFull:
        message = "Too many deliveries are waiting."
    except (DatabaseError, InterfaceError) as error:
        log.error("database: %s", error)
        message = describe_error(error, services().config.database, to_stranger=True)
    raise ApiError(503, f"{message} Nothing was stored: send it again later.", RETRY_AFTER)
