"""Replays for scripts: deliveries are sent again, all that a filter accepts."""

import json

import msgspec
from flask import Blueprint, url_for

from delivery import outbox
from delivery.alerts.alert import rfc3339
from delivery.outbox import ReplayChoice
from models import ID_PER_MS, MAX_ID, Replay, ReplayState
from web.api import paging
from web.api.deliveries import read_log_filter
from web.api.operation import describe, invalid, read_body, to_json
from web.api.paging import PageQuery
from web.api.schemas import NewReplay, Nothing, ReplayBody, ReplayPage
from web.auth.access import require_scope
from web.deliveries import replays
from web.problems import ApiError

bp = Blueprint("api_replays", __name__, url_prefix="/api/v1/replays")

EXAMPLE = {"filter": {"state": "failed", "since": "2h"}, "choice": "open"}


@bp.get("")
@require_scope("deliveries:read")
@describe({200: ReplayPage}, 422, query=PageQuery, gives=("Link",))
def index():
    """List the replays, newest first."""
    paging.check_parameters(PageQuery)
    before, _ = paging.read_cursor()
    limit = paging.read_limit()
    rows = Replay.select().where(Replay.id < (before or MAX_ID)).order_by(Replay.id.desc())
    found = list(rows.limit(limit + 1))
    older = found[limit - 1].id if len(found) > limit else None
    return paging.page("replays", list(map(_body, found[:limit])), older)


def _body(replay: Replay) -> ReplayBody:
    counts = replays.counts_of(replay)
    return ReplayBody(
        id=replay.id,
        state=ReplayState(replay.state),
        choice=ReplayChoice(replay.choice),
        filter=json.loads(replay.query),
        made_by=replay.made_by,
        created_at=rfc3339(replay.created_at),
        looked_at=counts.total(),
        sent=sum(counts[result] for result in outbox.SENDABLE),
        counts=dict(counts),
        reached=rfc3339(replay.before // ID_PER_MS) if replay.before else None,
    )


@bp.post("")
@require_scope("deliveries:write")
@describe({202: ReplayBody}, 422, body=NewReplay, example=EXAMPLE, gives=("Location",))
def create():
    """Start a replay. One of the same that still runs is returned instead."""
    body = read_body(NewReplay)
    sent = msgspec.to_builtins(body.filter)
    query = read_log_filter({name: str(value) for name, value in sent.items()})
    if not query.texts:
        raise invalid("filter", "Choose which deliveries are sent again: enter at least one.")
    replay = replays.start_replay(query, body.choice)
    address = url_for("api_replays.one", replay_id=replay.id)
    return to_json(_body(replay)), 202, {"Location": address}


@bp.get("/<int:replay_id>")
@require_scope("deliveries:read")
@describe({200: ReplayBody}, 404)
def one(replay_id: int):
    """Return how far a replay has come."""
    return to_json(_body(replays.load_replay(replay_id)))


@bp.post("/<int:replay_id>/stop")
@require_scope("deliveries:write")
@describe({200: ReplayBody}, 404, 409, 422, body=Nothing, optional=True)
def stop(replay_id: int):
    """Stop a replay; what it has sent stays sent."""
    read_body(Nothing)
    if not replays.stop_replay(replay_id):
        raise ApiError(409, "Nothing was changed: the replay has ended already.")
    return one(replay_id)


@bp.post("/<int:replay_id>/continue")
@require_scope("deliveries:write")
@describe({200: ReplayBody}, 404, 409, 422, body=Nothing, optional=True)
def go_on(replay_id: int):
    """Continue a stopped replay where it was."""
    read_body(Nothing)
    if not replays.continue_replay(replay_id):
        raise ApiError(409, "Nothing was changed: the replay is not stopped.")
    return one(replay_id)
