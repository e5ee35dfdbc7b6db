"""The lab: a built-in receiver for trying out channels, with a selectable response."""

import contextlib
import hmac
import json
import time

from flask import Blueprint, Response, abort, render_template, request
from werkzeug.datastructures import Headers

from clock import now_ms
from database import relaxed_durability
from models import Fact, LabRequest, db
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("lab", __name__)

RESPONSES = {"200": "200 immediately", "500": "500 immediately", "slow": "200 after 5 seconds"}
SLOW_SECONDS = 5.0
MAX_BODY_BYTES = 64 * 1024
MAX_REQUESTS = 50
_SETTING = "lab answers"  # name of the row in table `fact`
# A browser that opens the address sends its session cookie.
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")


@bp.route("/lab/in/<random>", methods=["GET", "POST", "PUT", "PATCH"])
def receive(random: str) -> Response:
    """Store a request and send the selected response. No sign-in is required."""
    if not hmac.compare_digest(f"/lab/in/{random}".encode(), services().policy.lab.path.encode()):
        return Response("There is no such receiving address here.\n", 404, mimetype="text/plain")
    body = request.stream.read(MAX_BODY_BYTES)
    # Closing a connection with unread bytes resets it, and the response is lost.
    while request.stream.read(MAX_BODY_BYTES):
        pass
    selected = _selected_response()
    if selected == "slow":
        return _respond_slowly(body)
    return _respond(body, int(selected), f"The lab is set to respond with {selected}.")


def _respond_slowly(body: bytes) -> Response:
    """Respond after a delay; with 503 if too many requests are waiting, which pages need."""
    slots = services().slow_response_slots
    if not slots.acquire(blocking=False):
        return _respond(body, 503, "The lab is sending as many slow responses as it can.")
    try:
        response = _respond(body, 200, "The lab is set to respond slowly.")
        time.sleep(SLOW_SECONDS)
        return response
    finally:
        slots.release()


def _respond(body: bytes, status: int, message: str) -> Response:
    """Store the request, delete the oldest beyond `MAX_REQUESTS`, and return the response."""
    headers = [(name, _mask(name, value)) for name, value in request.headers]
    with relaxed_durability(), db.atomic():
        stored = LabRequest.create(
            at=now_ms(),
            method=request.method,
            headers=json.dumps(headers),
            body=body.decode(errors="replace"),
            answered=status,
        )
        LabRequest.delete().where(LabRequest.id <= stored.id - MAX_REQUESTS).execute()
    return Response(f"{message}\n", status, mimetype="text/plain")


def _mask(name: str, value: str) -> str:
    if name.lower() in _CREDENTIALS:
        return f"…{value[-4:]}"
    return value


def _selected_response() -> str:
    setting = Fact.get_or_none(Fact.name == _SETTING)
    if setting and setting.value in RESPONSES:
        return setting.value
    return "200"


@bp.get("/lab")
def index():
    """Show the receiving address, the responses to select from and the latest requests."""
    latest = LabRequest.select().order_by(LabRequest.id.desc()).limit(MAX_REQUESTS)
    return render_template(
        "lab/index.html",
        address=services().policy.lab.url,
        responses=RESPONSES,
        selected=_selected_response(),
        requests=latest,
        parse_headers=_parse_headers,
    )


def _parse_headers(text: str) -> Headers:
    """Return the headers that a row stores as JSON; none if the row is damaged."""
    with contextlib.suppress(ValueError, TypeError):
        return Headers(json.loads(text))
    return Headers()


@bp.post("/lab")
def select_response():
    """Select the response that the lab sends from now on."""
    response = request.form.get("answer", "")
    if response not in RESPONSES:
        abort(422, "Select one of the responses.")
    Fact.store(_SETTING, response)
    return redirect_with(f"The lab responds with {RESPONSES[response]}.", "lab.index")


@bp.post("/lab/forget")
def clear():
    """Delete the received requests."""
    LabRequest.delete().execute()
    return redirect_with("The received requests were deleted.", "lab.index")
