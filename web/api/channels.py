"""Channels for scripts: JSON in and out, with the names of the form's fields.

The schema judges members and types; the form judges values, as it does for a page.
"""

from typing import Any

from flask import Blueprint, request, url_for
from peewee import IntegrityError

from clock import now_ms
from delivery import outbox
from delivery.channel_test import TestSlotsFull
from delivery.guard.url import InvalidUrl
from delivery.message import MessageError
from delivery.outcome import Outcome
from models import AuditAction, Channel
from web import audit
from web.api.channel_json import channel_json, form_data
from web.api.channel_schema import ChannelBody, decode_channel, invalid_channel
from web.api.channel_types import ChannelAnswer, ChannelList, TestAnswer
from web.api.etags import changed_since, check_if_match, is_conditional, tagged
from web.api.operation import describe
from web.api.schemas import Nothing
from web.auth.access import require_scope
from web.channels.editor import Edit, VersionConflict, get_channel_or_404, open_edit, save
from web.channels.live import store_result
from web.channels.provisioned import refuse_provisioned
from web.problems import ApiError
from web.services import services

bp = Blueprint("api", __name__, url_prefix="/api/v1")

EXAMPLE = {
    "name": "Team db",
    "kind": "webhook",
    "url": "https://hooks.example.com/services/t0ken",
    "headers": [{"name": "X-Team", "value": "db"}],
    "matchers": 'severity="critical"',
}


@bp.get("/channels")
@require_scope("channels:read")
@describe({200: ChannelList, 304: None}, takes=("If-None-Match",), gives=("ETag",))
def index():
    """List every channel."""
    return tagged({"channels": [channel_json(channel) for channel in Channel.listed()]})


@bp.get("/channels/<int:channel_id>")
@require_scope("channels:read")
@describe({200: ChannelAnswer, 304: None}, 404, takes=("If-None-Match",), gives=("ETag",))
def one(channel_id: int):
    """Return a channel."""
    return tagged(channel_json(get_channel_or_404(channel_id)))


@bp.post("/channels")
@require_scope("channels:write")
@describe({201: ChannelAnswer}, 422, body=ChannelBody, example=EXAMPLE, gives=("ETag", "Location"))
def create():
    """Create a channel."""
    channel = _save(None)
    response = tagged(channel_json(channel), 201)
    response.headers["Location"] = url_for("api.one", channel_id=channel.id)
    return response


@bp.put("/channels/<int:channel_id>")
@require_scope("channels:write")
@describe(
    {200: ChannelAnswer},
    404,
    409,
    412,
    422,
    body=ChannelBody,
    example=EXAMPLE,
    takes=("If-Match",),
    gives=("ETag",),
)
def replace(channel_id: int):
    """Replace a channel; the URL and secrets stay unless the body has them."""
    return tagged(channel_json(_save(channel_id)))


@bp.delete("/channels/<int:channel_id>")
@require_scope("channels:write")
@describe({204: None}, 404, 409, 412, takes=("If-Match",))
def delete(channel_id: int):
    """Delete a channel, its deliveries and its attempts."""
    channel = get_channel_or_404(channel_id)
    refuse_provisioned(channel)
    check_if_match(channel)
    outbox.delete_channel(channel.id, now_ms())
    audit.record(AuditAction.CHANNEL_DELETED, audit.named(channel))
    return "", 204


@bp.post("/channels/<int:channel_id>/test")
@require_scope("channels:write")
@describe({200: TestAnswer}, 404, 422, 429, body=Nothing, optional=True)
def test(channel_id: int):
    """Send a test of a stored channel; return 200 for every response of the receiver."""
    edit = open_edit(channel_id)
    refusal = edit.problem
    if request.get_data().strip() not in (b"", b"{}"):
        refusal = "A test has no body: it sends the stored channel."
    if refusal:
        raise ApiError(422, f"Nothing was sent. {refusal}")
    try:
        result = services().test_runner.run(edit.stored, edit.alert_url, edit.in_group)
    except TestSlotsFull as error:
        server = error.vendor or "Tocsin"
        message = f"Nothing was sent: {server} accepts no more tests at the moment."
        raise ApiError(429, message, error.seconds) from None
    except (InvalidUrl, MessageError) as error:
        raise ApiError(422, f"Nothing was sent. {error}") from None
    return {
        **_outcome_json(result.outcome),
        "note": result.note,
        "closing": result.closing and _outcome_json(result.closing),
        "unstored": store_result(edit, result, edit.stored),
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.columns(),
        "milliseconds": outcome.milliseconds,
        "hint": outcome.hint,
        "retry_after": outcome.retry_after,
        "stages": outcome.stages,
    }


def _save(channel_id: int | None) -> Channel:
    stored = open_edit(channel_id)
    if channel_id:
        check_if_match(stored.channel)
    body = decode_channel(request.get_data())
    if channel_id and body.get("version") not in (None, stored.channel.version):
        raise _conflict()
    return save_edit(open_edit(channel_id, form_data(body, stored.stored, stored.channel.version)))


def save_edit(edit: Edit, restored: int | None = None) -> Channel:
    """Save a filled form, and return the channel; `restored` is as in `editor.save`.

    Raises:
        ApiError: the form is invalid, or the channel has changed since it was read.
    """
    if not edit.form.validate():
        fields = edit.form.invalid_fields()
        raise invalid_channel({field.name: field.errors for field in fields})
    try:
        return get_channel_or_404(save(edit, restored).id)
    except VersionConflict:
        raise (changed_since() if is_conditional() else _conflict()) from None
    except IntegrityError:
        message = "Another channel has just taken this name: choose another."
        raise invalid_channel({"name": [message]}) from None


def _conflict() -> ApiError:
    message = "Nothing was saved. Another user has changed this channel: read it again."
    return ApiError(409, message)
