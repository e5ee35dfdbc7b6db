"""Channels for scripts: JSON in and out, under the names of the form's fields. The pages' own form judges what is written."""

import json
import re
from collections.abc import Mapping
from types import NoneType
from typing import Any

from flask import Blueprint, request, url_for
from peewee import IntegrityError
from werkzeug.datastructures import MultiDict

from delivery.alerts.alert import rfc3339
from delivery.channel_test import TestSlotsFull
from delivery.guard.url import InvalidUrl
from delivery.kinds import kinds
from delivery.message import MessageError
from delivery.settings import SECRET_FIELDS, Settings, read_settings
from models import Channel
from web.api.json_body import Number, decoded, parsed
from web.auth.access import require_scope
from web.channels.editor import Edit, VersionConflict, get_channel_or_404, open_edit, save
from web.channels.forms import values_of
from web.channels.live import store_result
from web.channels.views import why_unusable
from web.problems import ApiError
from web.services import services

bp = Blueprint("api", __name__, url_prefix="/api/v1")


_OF_ALERTS = ("matchers", "retries")
_TEXTS = (
    "name",
    "kind",
    "url",
    "method",
    "auth",
    "auth_username",
    "signing",
    "signing_timestamp_header",
    "ca_pem",
)
_ANY_JSON = ("payload", "body")
_READ_ONLY = ("id", "state", "proof", "origin", "created_at", "updated_at", "secrets", "problem")
_MEMBERS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys((*_TEXTS, *_OF_ALERTS, *SECRET_FIELDS, *_ANY_JSON), (str, NoneType)),
    **dict.fromkeys(("timeout", "repeat", "version"), (Number, NoneType)),
    "verify_tls": (bool, NoneType),
    "headers": (list, NoneType),
    "options": (dict, NoneType),
}
_ROW = {
    "headers-N": (dict,),
    "headers-N-name": (str,),
    "headers-N-value": (str,),
    "headers-N-secret": (bool,),
}
_WRONG = "Nothing was saved. What is wrong stands under errors, by the names of members."
_SPELLED = {
    str: "a text",
    Number: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)
_OUTCOME = (
    "verdict",
    "reason",
    "actor",
    "status",
    "milliseconds",
    "says",
    "hint",
    "receiver",
    "excerpt",
    "retry_after",
)


@bp.get("/channels")
@require_scope("channels:read")
def index():
    """Every channel."""
    return {"channels": [_shown(channel) for channel in Channel.listed()]}


@bp.get("/channels/<int:channel_id>")
@require_scope("channels:read")
def one(channel_id: int):
    """One channel."""
    return _shown(get_channel_or_404(channel_id))


@bp.post("/channels")
@require_scope("channels:write")
def create():
    """Makes a channel."""
    channel = _saved(None)
    return _shown(channel), 201, {"Location": url_for("api.one", channel_id=channel.id)}


@bp.put("/channels/<int:channel_id>")
@require_scope("channels:write")
def replace(channel_id: int):
    """Replaces a channel; of what is left out, the URL and secrets stay."""
    return _shown(_saved(channel_id))


@bp.delete("/channels/<int:channel_id>")
@require_scope("channels:write")
def delete(channel_id: int):
    """Deletes a channel and its attempts."""
    Channel.delete().where(Channel.id == get_channel_or_404(channel_id).id).execute()
    return "", 204


@bp.post("/channels/<int:channel_id>/test")
@require_scope("channels:write")
def test(channel_id: int):
    """Sends a test of the channel as it is stored, and answers 200 however the receiver behaved."""
    edit = open_edit(channel_id)
    if edit.stored is None or edit.problem or request.get_data().strip() not in (b"", b"{}"):
        raise ApiError(
            422,
            f"Nothing was sent. {edit.problem or 'A test has no body: it sends what is stored.'}",
        )
    try:
        trial = services().test_runner.run(edit.stored, edit.alert_url)
    except TestSlotsFull as busy:
        raise ApiError(
            429,
            f"Nothing was sent: {busy.vendor or 'Tocsin'} takes no more just now.",
            busy.seconds,
        ) from None
    except (InvalidUrl, MessageError) as error:
        raise ApiError(422, f"Nothing was sent. {error}") from None
    shown = {name: getattr(trial.outcome, name) for name in _OUTCOME}
    stages = [vars(stage) for stage in trial.outcome.stages]
    return {**shown, "stages": stages, "unstored": store_result(edit, trial, edit.stored)}


def _shown(channel: Channel) -> dict[str, Any]:
    settings, broken = read_settings(channel, services().keyring)
    broken = broken or why_unusable(channel, settings)
    values = values_of(channel, settings)
    secret = [f"options-{option.name}" for option in settings.options if option.secret]
    return {
        **{name: value for name, value in values.items() if not name.startswith("options-")},
        **{name: getattr(channel, name) for name in ("id", "state", "origin", "version")},
        **{name: rfc3339(getattr(channel, name)) for name in ("created_at", "updated_at")},
        "url": settings.target.masked if settings.target else "",
        "options": {option.name: option.value for option in settings.options if not option.secret},
        "timeout": settings.timeout,
        "repeat": channel.repeat_minutes or None,
        "secrets": [name for name in SECRET_FIELDS if getattr(settings, name)] + secret,
        "proof": channel.proven,
        **({"problem": broken} if broken else {}),
    }


def _saved(channel_id: int | None) -> Channel:
    stored, given = open_edit(channel_id), _given()
    try:
        edit = open_edit(channel_id, _posted(given, stored))
        if not edit.form.validate():
            raise ApiError(
                422, _WRONG, errors={name: [words] for name, _label, words in edit.form.problems()}
            )
        return get_channel_or_404(save(edit).id)
    except VersionConflict:
        raise ApiError(
            409, "Nothing was saved. Somebody else has saved this channel meanwhile: read it again."
        ) from None
    except IntegrityError:
        raise ApiError(
            422,
            _WRONG,
            errors={"name": ["Another channel has got this name just now: choose another."]},
        ) from None


def _given() -> dict[str, Any]:
    """The object that was sent, without what is only read. `payload` and `body` are texts."""
    text = decoded(request.get_data())
    given = parsed(text)
    if not isinstance(given, dict):
        raise ApiError(422, "Send a channel as one JSON object.")
    given |= {
        name: value
        for name, value in _as_written(text).items()
        if type(given[name]) not in (str, NoneType)
    }
    return {name: value for name, value in given.items() if name not in _READ_ONLY}


def _as_written(text: str) -> dict[str, str]:
    """The members of an object that may be any JSON, to the letter: no digit is lost, and no escape undone."""
    found, depth, begin, name = {}, 0, 0, ""
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth == 1 and token[0] == ":":
            name, begin = json.loads(text[begin : token.start()]), token.end()
        elif depth == 0 or (depth == 1 and token[0] in "{,"):
            found[name], begin = text[begin : token.start()].strip(), token.end()
    return {name: found[name] for name in _ANY_JSON if name in found}


def _posted(given: dict[str, Any], stored: Edit) -> MultiDict:
    """What a page would post for it."""
    _check(given, _MEMBERS)
    flat = {name: value for name, value in given.items() if name not in ("headers", "options")}
    for number, row in enumerate(given.get("headers") or []):
        parts = row.items() if isinstance(row, dict) else ()
        flat |= {f"headers-{number}-{part}": value for part, value in parts} or {
            f"headers-{number}": row
        }
    sent, kind = given.get("options") or {}, kinds().get(given.get("kind") or "webhook")
    # Of a kind that is not known, the message of the kind says all there is to say.
    known = dict.fromkeys([option.name for option in kind.options] if kind else sent, "")
    flat |= {f"options-{name}": value for name, value in {**known, **sent}.items()}
    _check(flat, _MEMBERS | _ROW | {f"options-{name}": (str, NoneType) for name in known})
    if flat.get("version") is None or not stored.channel.id:
        flat["version"] = str(stored.channel.version)
    if flat["version"] != str(stored.channel.version):
        raise VersionConflict
    posted = {name: str(value) for name, value in flat.items() if value is not None}
    return MultiDict(
        posted
        | {f"{name}-remove": "1" for name, value in flat.items() if value is None}
        | _url(flat, stored)
    )


def _check(given: dict[str, Any], members: Mapping[str, tuple[type, ...]]) -> None:
    """Whether these are members, and of their types to the letter: a true is no number, and a number no text."""
    wrong = {}
    for name, value in given.items():
        types = members.get(re.sub("^headers-[0-9]+", "headers-N", name))
        if types is None:
            wrong[name] = ["There is no such member."]
        elif type(value) not in types:
            wrong[name] = [f"This must be {_SPELLED[types[0]]}."]
    if wrong:
        raise ApiError(422, _WRONG, errors=wrong)


def _url(flat: dict[str, Any], stored: Edit) -> dict[str, str]:
    """Left out, empty or as it is shown, the stored URL stays; null is none, for a kind that knows its vendor's server."""
    sent, kept = flat.get("url", ""), stored.stored or Settings()
    if sent is None:
        return {}
    if not sent.strip() or (kept.target and sent.strip() == kept.target.masked):
        return {"url": kept.url}
    if "/…" in sent:
        words = "The URL is shortened where it is shown: leave it out to keep the stored one, or give all of it."
        raise ApiError(422, _WRONG, errors={"url": [words]})
    return {"url": sent}
