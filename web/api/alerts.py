"""Alerts come in here, in the shapes of their senders. What is answered with success is committed; the rest can be sent again.

Every address also stands under `/t/<token>`, for senders that have only a URL.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

from flask import Blueprint, Response, g, request
from peewee import DatabaseError, IntegrityError, InterfaceError, sqlite3  # type: ignore[attr-defined]
from werkzeug.exceptions import RequestEntityTooLarge

from clock import now_ms
from config import VERSION
from database import describe_error
from delivery.alerts import parsers
from delivery.alerts.alert import rfc3339
from delivery.alerts.routing import DELIVERY_LIFETIME, IngestResult, ReceivedAlert
from delivery.outbox import OutboxFull
from models import db
from web.api.json_body import decoded, parsed
from web.auth.access import require_scope
from web.problems import ApiError
from web.services import services

bp = Blueprint("ingest", __name__)
log = logging.getLogger("tocsin.web")

MOST_BYTES = 16 * 1024 * 1024
RETRY_AFTER = 5
LONGEST_KEY = 255
STARTED = now_ms()


def _door(path: str, *methods: str) -> Callable:
    """Both addresses of a view."""

    def mark(view: Callable[[], Any]) -> Callable:
        @require_scope("ingest")
        @wraps(view)
        def enter(**_token):  # web.tokens has looked at it
            request.max_content_length = MOST_BYTES
            return view()

        for where in (path, f"/t/<token>{path}"):
            bp.add_url_rule(where, view.__name__, enter, methods=methods)
        return enter

    return mark


# --- our own shape ---------------------------------------------------------------------------------------------------------


@_door("/api/v1/alerts", "POST")
def native() -> Response:
    """Stores one alert or many, all or nothing; with an `Idempotency-Key` once, however often it is sent."""
    body = _body()
    receipt = _Receipt.of(body) if "Idempotency-Key" in request.headers else None
    answer = receipt.answer() if receipt else None
    if answer is None:
        found, _problems = _read(parsers.native, parsed(decoded(body)))
        try:
            answer = _answer(_stored(found, receipt.keep if receipt else None))
        except IntegrityError:  # the same has come twice at once, and the other was first
            answer = (receipt and receipt.answer()) or ""
    return Response(answer, 202, content_type="application/json")


def _answer(stored: Sequence[IngestResult]) -> str:
    return json.dumps({"alerts": [{"id": one.id, "deliveries": one.deliveries} for one in stored]})


class _Receipt:
    """What was answered to a token's `Idempotency-Key`, and the hash of what it had sent."""

    def __init__(self, key: str, body: bytes):
        self._key = hashlib.sha256(f"{g.token.id}\0{key}".encode("utf-8", "replace")).hexdigest()
        self._seen = hashlib.sha256(body).hexdigest()

    @classmethod
    def of(cls, body: bytes) -> "_Receipt":
        """That of the current request."""
        key = request.headers["Idempotency-Key"]
        if not 1 <= len(key) <= LONGEST_KEY:
            raise ApiError(
                400, f"An Idempotency-Key has 1 to {LONGEST_KEY} characters. Nothing was stored."
            )
        return cls(key, body)

    def answer(self) -> str | None:
        """What was answered already; None when this is new."""
        now = now_ms()
        row = db.execute_sql(
            _FIND, (self._key, now - DELIVERY_LIFETIME, now + DELIVERY_LIFETIME)
        ).fetchone()
        if row and not row[0].startswith(self._seen):
            raise ApiError(
                422,
                "This Idempotency-Key came with another body before. Nothing was stored: choose another key.",
            )
        return row[0][len(self._seen) :] if row else None

    def keep(self, stored: Sequence[IngestResult]) -> None:
        """Keeps the answer, in the transaction that stores the alerts."""
        now = now_ms()
        db.execute_sql(_FORGET, (self._key, now - DELIVERY_LIFETIME, now + DELIVERY_LIFETIME))
        db.execute_sql(_KEEP, (self._key, self._seen + _answer(stored), now))


_FIND = "SELECT answer FROM receipt WHERE key = ? AND at BETWEEN ? AND ?"
_FORGET = "DELETE FROM receipt WHERE key = ? AND at NOT BETWEEN ? AND ?"
_KEEP = "INSERT INTO receipt (key, answer, at) VALUES (?, ?, ?)"


# --- the shapes of others ----------------------------------------------------------------------------------------------------


@_door("/api/v2/alerts", "POST")
def alertmanager() -> Response:
    """Alertmanager's own: 200 without a body; 400 with a text when some were no good, and the others are stored."""
    problems = _take(parsers.posted)
    if problems:
        raise ApiError(400, "; ".join(problems))
    return Response("", 200, content_type="text/plain; charset=utf-8")


@_door("/api/v2/status", "GET")
def status() -> Response:
    """What Alertmanager's clients ask to know whom they talk to."""
    version = {
        "version": VERSION,
        **dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), ""),
    }
    cluster = {"status": "disabled", "peers": []}
    body = {
        "cluster": cluster,
        "versionInfo": version,
        "config": {"original": ""},
        "uptime": rfc3339(STARTED),
    }
    return Response(json.dumps(body), content_type="application/json")


@_door("/ingest/alertmanager", "POST")
def from_alertmanager() -> Response:
    """Alertmanager's webhook (version 4)."""
    return _webhook(parsers.webhook)


@_door("/ingest/grafana", "POST", "PUT")
def from_grafana() -> Response:
    """Grafana's webhook."""
    return _webhook(parsers.webhook)


@_door("/ingest/uptrace", "POST")
def from_uptrace() -> Response:
    """Uptrace's webhook."""
    return _webhook(parsers.uptrace)


def _webhook(read: Callable[[Any, int], parsers.Read]) -> Response:
    problems = _take(read)
    if problems:
        raise ApiError(
            422, f"Some alerts cannot be taken; the others are stored. {'; '.join(problems)}."
        )
    return Response("{}", 200, content_type="application/json")


@bp.after_request
def in_alertmanagers_words(response: Response) -> Response:
    """Alertmanager says what is wrong in one JSON text; who may not post at all is told so as everywhere."""
    if (
        request.endpoint == "ingest.alertmanager"
        and response.status_code >= 400
        and response.status_code not in (401, 403)
    ):
        response.set_data(json.dumps(json.loads(response.get_data())["detail"]))
        response.content_type = "application/json"
    return response


# --- what they share ---------------------------------------------------------------------------------------------------------


def _take(read: Callable[[Any, int], parsers.Read]) -> list[str]:
    """Stores what can be taken of a body that is not ours to be strict about; the words on the rest."""
    found, problems = _read(read, _lenient(_body()))
    _stored(found)
    return problems


def _body() -> bytes:
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(
            f"Send at most {MOST_BYTES >> 20} MB at a time. Nothing was stored."
        ) from None


def _read(read: Callable[[Any, int], parsers.Read], value: Any) -> parsers.Read:
    try:
        return read(value, now_ms())
    except parsers.InvalidPayload as unfit:
        status = 413 if unfit.too_many else 400 if read is parsers.posted else 422
        more: dict[str, Any] = {"errors": unfit.errors} if unfit.errors else {}
        raise ApiError(status, str(unfit), **more) from None


def _lenient(octets: bytes) -> Any:
    """The value of a JSON text as Go reads it: the last of two members counts, and a broken character is replaced."""
    text = octets.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, parse_constant=_no_number)
        halves = "\\ud" in text.lower()
        return (
            json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
            if halves
            else value
        )
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON: {error}. Nothing was stored.") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _stored(
    found: list[ReceivedAlert], also: Callable[[list[IngestResult]], None] | None = None
) -> list[IngestResult]:
    """What was stored, and is committed. Who hears that it was not has to send it again."""
    try:
        return services().batch_writer.store(found, now_ms(), also) if found or also else []
    except OutboxFull:
        raise ApiError(
            503,
            "Too many deliveries wait already. Nothing was stored: send it again later.",
            RETRY_AFTER,
        ) from None
    except IntegrityError:
        raise
    except (
        DatabaseError,
        InterfaceError,
        sqlite3.Error,
    ) as error:  # the last from executemany, which peewee does not wrap
        log.error("database: %s", error)
        words = describe_error(error, Path(services().config.database.name))
        raise ApiError(
            503, f"{words} Nothing was stored: send it again later.", RETRY_AFTER
        ) from None
