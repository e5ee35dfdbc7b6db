"""Silences of Alertmanager's API. The rules of the page judge them.

A silence of Tocsin starts at once. One that cannot be stored exactly as sent is refused.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec
from flask import Blueprint, request
from wtforms.validators import ValidationError

from clock import MINUTE, now_ms
from delivery.alerts.alert import milliseconds
from delivery.alerts.matchers import Matcher, parse_matchers
from delivery.json_text import JsonError, parse_strict
from delivery.outbox.silences import read_matchers as read_stored_matchers
from models import Silence
from web import silences
from web.api import alertmanager
from web.api.alertmanager_json import silence_json, silence_number, silence_uuid, to_matcher
from web.api.ingest_types import AlertmanagerSilence, FilterQuery, SilenceId
from web.api.operation import describe
from web.api.token_routes import route_with_token
from web.problems import ApiError

bp = Blueprint("alertmanager_silences", __name__)

MAX_EXPIRED = 1000
MAX_CLOCK_DIFFERENCE = 5 * MINUTE
MAX_NAME_LENGTH = 100


class PostedMatcher(msgspec.Struct, rename="camel"):
    """A matcher of a posted silence."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class PostedSilence(msgspec.Struct, rename="camel"):
    """A posted silence; with an `id`, it replaces that one."""

    matchers: list[PostedMatcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    id: str | None = None


def _silence_route(path: str, method: str, scope: str) -> Callable:
    return route_with_token(bp, path, method, scopes=(scope,))


@_silence_route("/api/v2/silences", "GET", "silences:read")
@describe({200: list[AlertmanagerSilence]}, 400, query=FilterQuery)
def index(**_token):
    """List the silences: those that are active, and the latest expired ones."""
    now = now_ms()
    wanted = alertmanager.read_matchers()
    active = Silence.select().where(Silence.until > now).order_by(Silence.until)
    expired = Silence.select().where(Silence.until <= now).order_by(Silence.until.desc())
    found = []
    for silence in [*active, *expired.limit(MAX_EXPIRED)]:
        values = {one.name: one.value for one in read_stored_matchers(silence.matchers)}
        if all(matcher.matches(values.get(matcher.name, "")) for matcher in wanted):
            found.append(silence_json(silence, now))
    return found


@_silence_route("/api/v2/silence/<silence_id>", "GET", "silences:read")
@describe({200: AlertmanagerSilence}, 404)
def one(silence_id: str, **_token):
    """Return a silence."""
    return silence_json(silences.get_silence_or_404(silence_number(silence_id)), now_ms())


@_silence_route("/api/v2/silence/<silence_id>", "DELETE", "silences:write")
@describe({200: None}, 404)
def delete(silence_id: str, **_token):
    """End a silence; one that has ended stays as it is."""
    silences.end_silence(silence_number(silence_id))
    # Clients cannot read an answer of another type, even an empty one.
    return "", 200, {"Content-Type": "application/json"}


@_silence_route("/api/v2/silences", "POST", "silences:write")
@describe({200: SilenceId}, 404, body=PostedSilence)
def create(**_token):
    """Start a silence, or change the one with the posted id.

    As in Alertmanager, one with other matchers ends, and a new one takes its place.
    """
    body = _read_body()
    matchers = _read_matchers(body)
    now = now_ms()
    until = _read_end(body, now)
    reason = body.comment.strip()
    made_by = body.created_by.strip()
    if len(made_by) > MAX_NAME_LENGTH or not made_by.isprintable():
        raise ApiError(400, f"createdBy has at most {MAX_NAME_LENGTH} visible characters.")
    try:
        silences.check_matchers(matchers)
        silences.check_reason(reason)
    except ValidationError as error:
        raise ApiError(400, f"No silence was stored. {error}") from None
    if body.id:
        stored = silences.get_silence_or_404(silence_number(body.id))
        if stored.until > now and stored.matchers == matchers:
            silences.change_silence(stored, reason, until)
            return {"silenceID": silence_uuid(stored.id)}
        silences.end_silence(stored.id)
    silence = silences.start_silence(matchers, reason, until, made_by)
    return {"silenceID": silence_uuid(silence.id)}


def _read_body() -> PostedSilence:
    try:
        value = parse_strict(request.get_data())
        return msgspec.convert(value, PostedSilence)
    except JsonError as error:
        raise ApiError(400, f"The body could not be read as JSON. {error}") from None
    except msgspec.ValidationError as error:
        raise ApiError(400, f"This is not a silence. {error}.") from None


def _read_matchers(body: PostedSilence) -> str:
    """Return the text of the posted matchers, which means exactly these."""
    matchers: list[Matcher] = []
    for one in body.matchers:
        matchers.append(to_matcher(one.name, one.value, one.is_regex, one.is_equal))
    text = ", ".join(map(str, matchers))
    try:
        is_same = list(parse_matchers(text)) == matchers
    except ValueError as error:
        raise ApiError(400, f"No silence was stored: its matchers are invalid. {error}") from None
    if not is_same:
        raise ApiError(400, "No silence was stored: its matchers cannot be stored as they are.")
    return text


def _read_end(body: PostedSilence, now: int) -> int:
    starts_at = milliseconds(body.starts_at.isoformat())
    ends_at = milliseconds(body.ends_at.isoformat())
    problem = ""
    if starts_at is None or ends_at is None:
        problem = "its times are outside the years 1 to 9999."
    elif starts_at > now + MAX_CLOCK_DIFFERENCE:
        problem = "startsAt is in the future, and a silence of Tocsin starts at once."
    elif ends_at <= max(now, starts_at):
        problem = "endsAt has passed, or is not after startsAt."
    elif ends_at > now + silences.MAX_DURATION:
        problem = "it would last for more than a year."
    if problem or ends_at is None:
        raise ApiError(400, f"No silence was stored: {problem}")
    return ends_at
