"""Actions on a channel for scripts: pause, resume, its history, and restoring a version."""

from typing import Any

from flask import Blueprint

from delivery.alerts.alert import rfc3339
from delivery.kinds import keeps_incidents
from delivery.outbox import HeldChoice
from models import ChannelState
from web.api.channel_json import channel_json
from web.api.channel_schema import CHANNEL_MEMBERS
from web.api.channel_types import ChannelAnswer, VersionAnswer
from web.api.channels import save_edit
from web.api.etags import check_if_match, tagged
from web.api.operation import describe, invalid, read_body, to_json
from web.api.schemas import ChangeBody, Nothing, Pause, Resume, VersionBody, VersionList
from web.auth.access import require_scope
from web.channels import history, pausing
from web.channels.editor import get_channel_or_404
from web.channels.history import Entry
from web.problems import ApiError

bp = Blueprint("api_channel_actions", __name__, url_prefix="/api/v1/channels/<int:channel_id>")

_TAGS: dict[str, Any] = {"takes": ("If-Match",), "gives": ("ETag",)}


@bp.post("/pause")
@require_scope("channels:write")
@describe({200: ChannelAnswer}, 404, 412, 422, body=Pause, optional=True, **_TAGS)
def pause(channel_id: int):
    """Pause a channel; until it is resumed, its openings are held, or dropped if chosen."""
    choice = read_body(Pause).waiting
    channel = get_channel_or_404(channel_id)
    check_if_match(channel)
    pausing.pause_channel(channel, choice)
    return tagged(channel_json(get_channel_or_404(channel_id)))


@bp.post("/resume")
@require_scope("channels:write")
@describe({200: ChannelAnswer}, 404, 409, 412, 422, body=Resume, optional=True, **_TAGS)
def resume(channel_id: int):
    """Let a channel deliver again, and send what it holds, or the chosen part."""
    choice = read_body(Resume).held
    channel = get_channel_or_404(channel_id)
    check_if_match(channel)
    if channel.state == ChannelState.DELIVERING:
        raise ApiError(409, "Nothing was changed: the channel is not paused.")
    if choice == HeldChoice.DIGEST and keeps_incidents(channel.kind):
        raise invalid("held", pausing.refuse_digest(channel.kind))
    pausing.resume_channel(channel, choice)
    return tagged(channel_json(get_channel_or_404(channel_id)))


@bp.get("/history")
@require_scope("channels:read")
@describe({200: VersionList}, 404)
def index(channel_id: int):
    """List the versions of a channel, and what each of them changed."""
    entries = history.entries_of(get_channel_or_404(channel_id))
    return to_json(VersionList([_body(entry) for entry in entries]))


def _body(entry: Entry) -> VersionBody:
    changes = None
    if entry.changes is not None:
        changes = [ChangeBody(one.label, one.before, one.after) for one in entry.changes]
    row = entry.row
    return VersionBody(row.version, rfc3339(row.at), row.made_by, row.event, entry.problem, changes)


@bp.get("/history/<int:number>")
@require_scope("channels:read")
@describe({200: VersionAnswer}, 404)
def version(channel_id: int, number: int):
    """Return a channel as it was at a version, without secrets."""
    channel = get_channel_or_404(channel_id)
    row = history.find_version_or_404(channel, number)
    earlier = row.as_channel()
    earlier.created_at = channel.created_at
    earlier.updated_at = row.at
    shown = channel_json(earlier)
    members: dict[str, Any] = {name: shown[name] for name in CHANNEL_MEMBERS if name in shown}
    hidden = history.hidden_headers(channel)
    for header in members["headers"]:
        if header["name"].lower() in hidden:
            header.update(value="", secret=True)
    members["secrets"] = shown["secrets"]
    return {**members, "at": rfc3339(row.at), "made_by": row.made_by, "event": row.event}


@bp.post("/history/<int:number>/restore")
@require_scope("channels:write")
@describe({200: ChannelAnswer}, 404, 409, 412, 422, body=Nothing, optional=True, **_TAGS)
def restore(channel_id: int, number: int):
    """Save the configuration of an older version as a new one, unless that changes nothing."""
    read_body(Nothing)
    channel = get_channel_or_404(channel_id)
    check_if_match(channel)
    edit, refusal = history.open_restoration(channel, number, str(channel.version))
    if edit is None:
        raise ApiError(422, refusal)
    if refusal:
        return tagged(channel_json(channel))
    return tagged(channel_json(save_edit(edit, restored=number)))
