"""The lab: a receiver of Tocsin's own, so that a first delivery needs nobody else. It answers as it is told to."""

import contextlib
import hmac
import json
import time

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for

from clock import now_ms
from database import relaxed_durability
from delivery.alerts.alert import rfc3339
from models import Fact, LabRequest, db
from web.services import services

bp = Blueprint("lab", __name__)

ANSWERS = {"200": "200, at once", "500": "500, at once", "slow": "200, after five seconds"}
SLOW_SECONDS = 5.0
MOST_BYTES, KEPT = 64 * 1024, 50
# A browser that opens the address shows the cookie that it is signed in with.
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")


@bp.route("/lab/in/<random>", methods=["GET", "POST", "PUT", "PATCH"])
def receive(random: str) -> Response:
    """The receiving address, for anybody who knows it: keeps what comes, and answers as chosen."""
    if not hmac.compare_digest(f"/lab/in/{random}".encode(), services().policy.lab.path.encode()):
        return _said(404, "There is no such receiving address here.")
    body = request.stream.read(MOST_BYTES)
    while request.stream.read(
        MOST_BYTES
    ):  # a connection that is closed on unread bytes is reset, and the answer with it
        pass
    chosen = _chosen()
    if chosen == "slow":
        return _slowly(body)
    _store(body, int(chosen))
    return _said(int(chosen), f"The lab answers {chosen}, as it was told to.")


def _slowly(body: bytes) -> Response:
    """A few may wait at a time; the other threads are for pages."""
    waits = services().slow_response_slots
    if not waits.acquire(blocking=False):
        _store(body, 503)
        return _said(503, "The lab keeps others waiting already.")
    try:
        _store(body, 200)
        time.sleep(SLOW_SECONDS)
    finally:
        waits.release()
    return _said(200, "The lab answers slowly, as it was told to.")


def _said(status: int, words: str) -> Response:
    return Response(words + "\n", status, mimetype="text/plain")


def _store(body: bytes, status: int) -> None:
    """Keeps a request, and of the older ones the latest. It is a receiver's log: a power cut may take the end of it."""
    headers = [
        (name, _masked(value) if name.lower() in _CREDENTIALS else value)
        for name, value in request.headers
    ]
    row = {
        "at": now_ms(),
        "method": request.method,
        "answered": status,
        "body": body.decode(errors="replace"),
    }
    with relaxed_durability(), db.atomic():
        stored = LabRequest.create(headers=json.dumps(headers), **row)
        LabRequest.delete().where(LabRequest.id <= stored.id - KEPT).execute()


def _masked(value: str) -> str:
    return f"…{value[-4:]}"


def _chosen() -> str:
    fact = Fact.get_or_none(Fact.name == "lab answers")
    return fact.value if fact and fact.value in ANSWERS else "200"


@bp.get("/lab")
def index():
    """The address to copy, the answers to choose from, and what came in last."""
    latest = [_shown(row) for row in LabRequest.select().order_by(LabRequest.id.desc()).limit(KEPT)]
    address = services().policy.lab.url
    return render_template(
        "lab/index.html", address=address, answers=ANSWERS, chosen=_chosen(), latest=latest
    )


def _shown(row: LabRequest) -> dict:
    headers: list[tuple[str, str]] = []
    with contextlib.suppress(ValueError, TypeError):  # a damaged row
        headers = [(str(name), str(value)) for name, value in json.loads(row.headers)]
    named = {name.lower(): value for name, value in headers}
    said = {"message": named.get("webhook-id", ""), "attempt": named.get("x-delivery-attempt", "")}
    return {"row": row, "at": rfc3339(row.at)[:19].replace("T", " "), "headers": headers, **said}


@bp.post("/lab")
def choose():
    """Says how the lab is to answer from now on."""
    answer = request.form.get("answer", "")
    if answer not in ANSWERS:
        abort(422, "Choose one of the answers.")
    Fact.replace(name="lab answers", value=answer).execute()
    flash(f"The lab answers {ANSWERS[answer]}.")
    return redirect(url_for("lab.index"), 303)


@bp.post("/lab/forget")
def forget():
    """Forgets what came in."""
    LabRequest.delete().execute()
    flash("The lab has forgotten what came in.")
    return redirect(url_for("lab.index"), 303)
