"""Deliveries for scripts: the list with its filters, one with its attempts, and actions."""

from collections.abc import Mapping

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from clock import now_ms
from delivery.alerts.alert import rfc3339
from models import Attempt, Delivery
from web.api import paging
from web.api.operation import describe, invalid, read_body, to_json
from web.api.schemas import (
    AttemptBody,
    DeliveriesQuery,
    DeliveryBody,
    DeliveryDetail,
    DeliveryPage,
    Nothing,
    Reference,
    Snooze,
    StageBody,
)
from web.auth.access import require_scope
from web.deliveries import actions, log, queries
from web.deliveries.alert_facts import severity_of_row
from web.deliveries.log_filter import FilterQuery, read_filter
from web.problems import ApiError

bp = Blueprint("api_deliveries", __name__, url_prefix="/api/v1/deliveries")


@bp.get("")
@require_scope("deliveries:read")
@describe({200: DeliveryPage}, 422, query=DeliveriesQuery, gives=("Link",))
def index():
    """List the deliveries that the filters accept, newest first."""
    paging.check_parameters(DeliveriesQuery)
    query = read_log_filter(request.args)
    before, _ = paging.read_cursor()
    page = log.page_of(query.filter, before, paging.read_limit())
    now = now_ms()
    rows = [DeliveryBody(**members_of(delivery, now)) for delivery in page.deliveries]
    return paging.page("deliveries", rows, page.older)


def read_log_filter(arguments: Mapping[str, str]) -> FilterQuery:
    """Return the filters of the list of deliveries or of alerts.

    Raises:
        ApiError: one of them cannot be used.
    """
    try:
        query = read_filter(arguments, now_ms())
    except NotFound as error:
        raise invalid("filter", error.description or "") from None
    for name, message in query.errors.items():
        raise invalid(name, message)
    return query


def members_of(delivery: Delivery, now: int) -> dict:
    """Return the members of a `DeliveryBody`."""
    message = queries.group_message_of(delivery)
    return {
        "id": delivery.webhook_id,
        "channel": Reference(delivery.channel.id, delivery.channel.name),
        "alert": Reference(delivery.alert.id, delivery.alert.name),
        "event": delivery.event,
        "severity": severity_of_row(delivery.alert),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "cause": delivery.cause,
        "explanation": queries.explain(delivery, now),
        "created_at": rfc3339(delivery.created_at),
        "due_at": rfc3339(delivery.due_at),
        "expires_at": rfc3339(delivery.expires_at),
        "ended_at": rfc3339(delivery.settled_at) or None,
        "message": message and f"msg_{message}",
        "repeated": bool(delivery.repeated),
        "flapping": bool(delivery.flapping),
    }


def id_of(delivery: Delivery | None) -> str | None:
    """Return the id of a delivery; None without one."""
    return delivery.webhook_id if delivery else None


@bp.get("/msg_<int:number>")
@require_scope("deliveries:read")
@describe({200: DeliveryDetail}, 404)
def one(number: int):
    """Return a delivery with its latest attempts."""
    delivery = actions.load_delivery(number)
    attempts = queries.latest_attempts(delivery)
    hint = queries.hint_for(delivery, attempts[-1] if attempts else None)
    tried = [_attempt_body(attempt) for attempt in attempts]
    return to_json(DeliveryDetail(**members_of(delivery, now_ms()), hint=hint, tried=tried))


def _attempt_body(attempt: Attempt) -> AttemptBody:
    stages = []
    for stage in queries.parse_stages(attempt.stages):
        stages.append(StageBody(stage.name, stage.milliseconds, stage.detail, stage.ok))
    return AttemptBody(
        id=attempt.id,
        at=rfc3339(attempt.at),
        number=attempt.number,
        version=attempt.version,
        verdict=attempt.verdict,
        reason=attempt.reason,
        actor=attempt.actor,
        status=attempt.status,
        milliseconds=attempt.milliseconds,
        receiver=attempt.receiver,
        says=attempt.says,
        excerpt=attempt.excerpt,
        stages=stages,
    )


@bp.post("/msg_<int:number>/retry")
@require_scope("deliveries:write")
@describe({200: DeliveryDetail}, 404, 409, 422, body=Nothing, optional=True)
def retry(number: int):
    """Make a delivery due now."""
    read_body(Nothing)
    return _after(number, actions.retry_now(number))


@bp.post("/msg_<int:number>/snooze")
@require_scope("deliveries:write")
@describe({200: DeliveryDetail}, 404, 409, 422, body=Snooze, optional=True)
def snooze(number: int):
    """Delay the next attempt of a pending delivery."""
    return _after(number, actions.snooze(number, read_body(Snooze).minutes))


@bp.post("/msg_<int:number>/cancel")
@require_scope("deliveries:write")
@describe({200: DeliveryDetail}, 404, 409, 422, body=Nothing, optional=True)
def cancel(number: int):
    """Cancel a delivery that waits or was set aside."""
    read_body(Nothing)
    return _after(number, actions.cancel(number))


@bp.post("/msg_<int:number>/replay")
@require_scope("deliveries:write")
@describe({200: DeliveryDetail}, 404, 409, 422, body=Nothing, optional=True)
def replay(number: int):
    """Send a delivery again that has ended."""
    read_body(Nothing)
    return _after(number, actions.redeliver(number))


def _after(number: int, refusal: str):
    """Return the delivery after an action.

    Raises:
        ApiError: the action was refused.
    """
    if refusal:
        raise ApiError(409, f"Nothing was changed: {refusal}")
    return one(number)
