"""The receiving addresses of the lab. No sign-in is required: their paths cannot be guessed."""

import json

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers

from clock import now_ms
from database import relaxed_durability
from delivery.guard.lab import PATH_PREFIX
from models import LabReceiver, LabRequest, db
from serving.held_connections import HOLD
from web.lab.channels import channels_of, settings_of
from web.lab.responses import RESPONSES, LabResponse, Turn
from web.lab.signatures import Check, Signed, check_signature
from web.services import services

bp = Blueprint("lab", __name__)

MAX_BODY_BYTES = 64 * 1024  # that are stored
MAX_SIGNED_BYTES = 1024 * 1024
MAX_REQUESTS = 50  # that are stored for each receiver
# A browser that opens the address sends its session cookie.
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")
_CANNOT_HOLD = LabResponse(
    "503",
    503,
    "This server cannot hold a connection. Start Tocsin with `tocsin serve`, or gunicorn with the "
    "settings in gunicorn.conf.py.\n",
)
_DELETE_OLDEST = """
    DELETE FROM lab_request WHERE receiver_id = :receiver AND id <= (
        SELECT id FROM lab_request WHERE receiver_id = :receiver
        ORDER BY id DESC LIMIT 1 OFFSET :max_requests)"""


@bp.route("/lab/in/<random>", methods=["GET", "POST", "PUT", "PATCH"])
def receive(random: str) -> Response:
    """Store a request, and send the response of its receiver, or none."""
    receiver = None
    if PATH_PREFIX + random in services().policy.lab.paths:
        receiver = LabReceiver.get_or_none(LabReceiver.path == random)
    if receiver is None:
        return Response("There is no such receiving address here.\n", 404, mimetype="text/plain")
    body = request.stream.read(MAX_SIGNED_BYTES)
    # Closing a connection with unread bytes resets it, and the response is lost.
    while request.stream.read(MAX_SIGNED_BYTES):
        pass
    check = _check(receiver, body)
    with relaxed_durability(), db.atomic():
        name = _next_response(receiver)
        response = RESPONSES[name]
        hold = request.environ.get(HOLD)
        if response.ending and not hold:
            response = _CANNOT_HOLD
        _store(receiver, body, name, response.status, check)
    if response.ending and hold:
        hold(response.ending)
    return _respond(response)


def _check(receiver: LabReceiver, body: bytes) -> Check:
    """Check the signature of the request; only a wrong one is compared with the channels."""
    settings = settings_of(receiver)
    signed = Signed(Headers(request.headers), body, now_ms() // 1000)
    check = check_signature(signed, settings, ())
    if check.verdict != "wrong":
        return check
    return check_signature(signed, settings, channels_of(receiver))


def _next_response(receiver: LabReceiver) -> str:
    """Return the name of the response whose turn it is, and count it."""
    this = LabReceiver.id == receiver.id
    row = LabReceiver.get_or_none(this) or receiver  # none other counts in this transaction
    LabReceiver.update(served=LabReceiver.served + 1).where(this).execute()
    return Turn.of(row).next_name


def _store(receiver: LabReceiver, body: bytes, name: str, status: int, check: Check) -> None:
    """Store the request, and delete the oldest beyond `MAX_REQUESTS`."""
    headers = [(header, _mask(header, value)) for header, value in request.headers]
    LabRequest.create(
        receiver=receiver.id,
        at=now_ms(),
        method=request.method,
        headers=json.dumps(headers),
        body=body[:MAX_BODY_BYTES].decode(errors="replace").replace("\0", "\ufffd"),
        answered=status,
        response=name,
        signature=check.verdict,
        finding=check.finding,
    )
    parameters = {"receiver": receiver.id, "max_requests": MAX_REQUESTS}
    db.execute_sql(_DELETE_OLDEST, parameters)


def _respond(response: LabResponse) -> Response:
    """Return a response; of one that is held, nothing is sent."""
    return Response(
        response.body,
        response.status or 200,
        dict(response.headers),
        content_type=response.content_type,
    )


def _mask(name: str, value: str) -> str:
    if name.lower() in _CREDENTIALS:
        return "…"
    return value
