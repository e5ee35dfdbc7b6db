"""Silences for scripts. The form of the page judges them."""

from flask import Blueprint, url_for

from clock import now_ms
from delivery.alerts.alert import rfc3339
from models import MAX_ID, Silence
from web import silences
from web.api import paging
from web.api.operation import describe, read_body, to_json
from web.api.paging import PageQuery
from web.api.schemas import NewSilence, Nothing, SilenceBody, SilencePage
from web.auth.access import require_scope
from web.problems import ApiError

bp = Blueprint("api_silences", __name__, url_prefix="/api/v1/silences")

EXAMPLE = {"matchers": 'team=~"db|web"', "reason": "Moving the database", "hours": 2}


@bp.get("")
@require_scope("silences:read")
@describe({200: SilencePage}, 422, query=PageQuery, gives=("Link",))
def index():
    """List the silences, newest first, also the expired ones."""
    paging.check_parameters(PageQuery)
    before, _ = paging.read_cursor()
    limit = paging.read_limit()
    rows = Silence.select().where(Silence.id < (before or MAX_ID)).order_by(Silence.id.desc())
    found = list(rows.limit(limit + 1))
    older = found[limit - 1].id if len(found) > limit else None
    return paging.page("silences", list(map(_body, found[:limit])), older)


def _body(silence: Silence) -> SilenceBody:
    return SilenceBody(
        id=silence.id,
        matchers=silence.matchers,
        reason=silence.reason,
        made_by=silence.made_by,
        created_at=rfc3339(silence.created_at),
        until=rfc3339(silence.until),
        active=silence.until > now_ms(),
    )


@bp.post("")
@require_scope("silences:write")
@describe({201: SilenceBody}, 422, body=NewSilence, example=EXAMPLE, gives=("Location",))
def create():
    """Create a silence that starts now."""
    body = read_body(NewSilence)
    form = silences.SilenceForm(
        data={"matchers": body.matchers, "reason": body.reason, "hours": f"{body.hours:g}"}
    )
    if not form.validate():
        detail = "No silence was created. “errors” has the messages by member."
        raise ApiError(422, detail, errors=form.errors)
    until = now_ms() + form.duration
    silence = silences.start_silence(body.matchers.strip(), body.reason.strip(), until)
    address = url_for("api_silences.one", silence_id=silence.id)
    return to_json(_body(silence)), 201, {"Location": address}


@bp.get("/<int:silence_id>")
@require_scope("silences:read")
@describe({200: SilenceBody}, 404)
def one(silence_id: int):
    """Return a silence."""
    return to_json(_body(silences.get_silence_or_404(silence_id)))


@bp.post("/<int:silence_id>/end")
@require_scope("silences:write")
@describe({200: SilenceBody}, 404, 409, 422, body=Nothing, optional=True)
def end(silence_id: int):
    """End a silence now."""
    read_body(Nothing)
    if not silences.end_silence(silence_id):
        raise ApiError(409, "Nothing was changed: the silence had already ended.")
    return one(silence_id)
