"""Channels for scripts: JSON in and out, with the names of the form's fields.

The schema judges members and types; the form judges values, as it does for a page.
"""

from typing import Any

import msgspec
from flask import Blueprint, request, url_for
from msgspec import Raw
from peewee import IntegrityError
from werkzeug.datastructures import MultiDict

from clock import now_ms
from delivery import outbox
from delivery.alerts.alert import rfc3339
from delivery.channel_test import TestSlotsFull
from delivery.guard.url import InvalidUrl
from delivery.health import health_of
from delivery.kinds import kinds
from delivery.message import MessageError
from delivery.outcome import Outcome
from delivery.settings import SECRET_FIELDS, Settings
from models import AuditAction, Channel
from web import audit
from web.api.channel_schema import (
    CHANNEL_MEMBERS,
    ChannelBody,
    decode_channel,
    decode_members,
    invalid_channel,
)
from web.auth.access import require_scope
from web.channels.editor import Edit, VersionConflict, get_channel_or_404, open_edit, save
from web.channels.forms import values_of
from web.channels.live import store_result
from web.channels.views import read_channel
from web.problems import ApiError
from web.services import services

bp = Blueprint("api", __name__, url_prefix="/api/v1")


@bp.get("/channels")
@require_scope("channels:read")
def index():
    """List every channel."""
    return {"channels": [_to_json(channel) for channel in Channel.listed()]}


@bp.get("/channels/<int:channel_id>")
@require_scope("channels:read")
def one(channel_id: int):
    """Return a channel."""
    return _to_json(get_channel_or_404(channel_id))


@bp.post("/channels")
@require_scope("channels:write")
def create():
    """Create a channel."""
    channel = _save(None)
    return _to_json(channel), 201, {"Location": url_for("api.one", channel_id=channel.id)}


@bp.put("/channels/<int:channel_id>")
@require_scope("channels:write")
def replace(channel_id: int):
    """Replace a channel; the URL and secrets stay unless the body has them."""
    return _to_json(_save(channel_id))


@bp.delete("/channels/<int:channel_id>")
@require_scope("channels:write")
def delete(channel_id: int):
    """Delete a channel, its deliveries and its attempts."""
    channel = get_channel_or_404(channel_id)
    outbox.delete_channel(channel.id, now_ms())
    audit.record(AuditAction.CHANNEL_DELETED, audit.named(channel))
    return "", 204


@bp.post("/channels/<int:channel_id>/test")
@require_scope("channels:write")
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


def _to_json(channel: Channel) -> dict[str, Any]:
    settings, problem = read_channel(channel)
    values = values_of(channel, settings)
    secrets = [name for name in SECRET_FIELDS if getattr(settings, name)]
    options = {}
    for option in settings.options:
        if option.secret:
            secrets.append(f"options-{option.name}")
        else:
            options[option.name] = option.value
    members = {
        **{name: values[name] for name in CHANNEL_MEMBERS if name in values},
        "id": channel.id,
        "url": settings.masked_url,
        "options": options,
        "timeout": settings.timeout,
        "group_wait": _number(values["group_wait"]),
        "fallback": _number(values["fallback"]),
        "repeat": channel.repeat_minutes or None,
        "version": channel.version,
        "secrets": secrets,
        "state": channel.state,
        "proof": channel.proven,
        "health": health_of(channel, now_ms()),
        "trouble": _trouble_json(channel),
        "origin": channel.origin,
        "created_at": rfc3339(channel.created_at),
        "updated_at": rfc3339(channel.updated_at),
    }
    if problem:
        members["problem"] = problem
    return members


def _number(text: str) -> int | None:
    return int(text) if text else None


def _trouble_json(channel: Channel) -> dict[str, str] | None:
    if channel.trouble_since is None:
        return None
    return {"since": rfc3339(channel.trouble_since), "text": channel.trouble}


def _save(channel_id: int | None) -> Channel:
    stored = open_edit(channel_id)
    body = decode_channel(request.get_data())
    try:
        if channel_id and body.get("version") not in (None, stored.channel.version):
            raise VersionConflict
        edit = open_edit(channel_id, _form_data(body, stored))
        if not edit.form.validate():
            fields = edit.form.invalid_fields()
            raise invalid_channel({field.name: field.errors for field in fields})
        return get_channel_or_404(save(edit).id)
    except VersionConflict:
        message = "Nothing was saved. Another user has changed this channel: read it again."
        raise ApiError(409, message) from None
    except IntegrityError:
        message = "Another channel has just taken this name: choose another."
        raise invalid_channel({"name": [message]}) from None


def _form_data(body: ChannelBody, edit: Edit) -> MultiDict:
    """Return what a page would post for this body."""
    values: dict[str, Any] = {**body, "headers": None, "options": None}
    values["url"] = _full_url(body, edit.stored)
    values["version"] = edit.channel.version
    for number, row in enumerate(body.get("headers") or []):
        for name, value in msgspec.structs.asdict(row).items():
            values[f"headers-{number}-{name}"] = value
    options = _options(body)
    # An option that is not posted would keep its stored value.
    data = MultiDict(dict.fromkeys(options, ""))
    for name, value in {**values, **options}.items():
        if isinstance(value, Raw):
            value = _json_text(bytes(value))
        if value is not None:
            data[name] = str(value)
        else:
            data[f"{name}-remove"] = "1"
    return data


def _json_text(data: bytes) -> str | None:
    """Return the value of a string, None for null, and any other JSON unchanged."""
    if data == b"null":
        return None
    if data.startswith(b'"'):
        return msgspec.json.decode(data, type=str)
    return data.decode()


def _options(body: ChannelBody) -> dict[str, str | None]:
    """Return the options of the kind by their names in the form; an absent option is blank."""
    sent = body.get("options") or {}
    kind = kinds().get(body.get("kind") or "webhook")
    names = [option.name for option in kind.options] if kind else list(sent)
    options = decode_members(sent, dict.fromkeys(names, str | None), "options-")
    return {f"options-{name}": options.get(name, "") for name in names}


def _full_url(body: ChannelBody, stored: Settings) -> str | None:
    """Return the stored URL for none, an empty or the shortened one; null is no URL."""
    url = body.get("url", "")
    if url is None:
        return None
    if url.strip() in ("", stored.masked_url):
        return stored.url
    if "/…" in url:
        message = "This URL is shortened: leave it out to keep the stored one, or send all of it."
        raise invalid_channel({"url": [message]})
    return url
