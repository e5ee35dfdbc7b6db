"""Export the deliveries that a filter accepts, as CSV or JSON, newest first."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, abort, request, stream_with_context

from clock import now_ms
from delivery.alerts.alert import rfc3339, without_internal
from delivery.alerts.received import alert_from_json
from delivery.log.log_filter import LogFilter
from delivery.log.search import find
from models import AuditAction, Delivery
from web import audit
from web.deliveries import log
from web.deliveries.alert_facts import severity_of_row
from web.deliveries.log_filter import read_filter
from web.services import services

bp = Blueprint("exports", __name__)

MAX_EXPORTED = 100_000
_SLICE = 500
_COLUMNS = (
    "id",
    "created_at",
    "ended_at",
    "channel",
    "alert",
    "event",
    "severity",
    "state",
    "attempts",
    "cause",
    "last_result",
    "labels",
)
# A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@bp.get("/deliveries/export.csv", defaults={"form": "csv"})
@bp.get("/deliveries/export.json", defaults={"form": "json"})
def export(form: str) -> Response:
    """Return the deliveries that the filters of the address accept, at most `MAX_EXPORTED`."""
    query = read_filter(request.args, now_ms())
    if query.errors:
        abort(422, " ".join(query.errors.values()))
    audit.record_often(AuditAction.EXPORTED, f"deliveries as {form}: {query.described or 'all'}")
    write, mimetype = {"csv": (_csv, "text/csv"), "json": (_json, "application/json")}[form]
    slot = _take_slot()
    parts = _in_slot(slot, write(_rows(query.filter)))
    response = Response(stream_with_context(parts), mimetype=mimetype)
    response.call_on_close(slot.close)  # also where nothing of it is read
    response.headers["Content-Disposition"] = f'attachment; filename="deliveries.{form}"'
    return response


def _take_slot() -> ExitStack:
    """Take one of the slots, as an export takes a thread for its whole time; `close` frees it."""
    slots = services().export_slots
    if not slots.acquire(blocking=False):
        response = Response("Other exports are under way: try again in a moment.\n", 429)
        response.headers["Retry-After"] = "5"
        abort(response)
    slot = ExitStack()
    slot.callback(slots.release)
    return slot


def _in_slot(slot: ExitStack, parts: Iterator[str]) -> Iterator[str]:
    with slot:
        yield from parts


def _rows(log_filter: LogFilter) -> Iterator[dict[str, Any]]:
    count = 0
    before = 0
    while True:
        found = find(log_filter, before, _SLICE)
        for delivery in log.rows_of(found.ids):
            yield _row(delivery)
            count += 1
            if count == MAX_EXPORTED:
                return
        if found.older is None:
            return
        before = found.older


def _row(delivery: Delivery) -> dict[str, Any]:
    alert = alert_from_json(delivery.alert.body)
    values = (
        delivery.webhook_id,
        rfc3339(delivery.created_at),
        rfc3339(delivery.settled_at),
        delivery.channel.name,
        delivery.alert.name,
        delivery.event,
        severity_of_row(delivery.alert),
        delivery.state,
        delivery.attempts,
        delivery.cause,
        getattr(delivery, "last_message", None) or "",
        without_internal(alert.labels),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for row in rows:
        cells = {**row, "labels": json.dumps(row["labels"], ensure_ascii=False)}
        writer.writerow(map(_cell, cells.values()))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> str:
    text = str(value)
    if text.startswith(_FORMULA):
        return f"'{text}"
    return text


def _json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "[\n"
    for row in rows:
        yield f"{separator}{json.dumps(row, ensure_ascii=False)}"
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
