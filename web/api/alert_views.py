"""Alerts for scripts: the list, one with its deliveries and timeline, and closing.

Posting alerts is in `web.api.alerts`.
"""

from flask import Blueprint, request

from clock import now_ms
from delivery.alerts.alert import AlertStatus, rfc3339, without_internal
from delivery.alerts.received import alert_from_json
from delivery.log.log_filter import LogFilter
from models import Alert
from web.api import paging
from web.api.deliveries import id_of, members_of, read_log_filter
from web.api.operation import describe, invalid, read_body, to_json
from web.api.schemas import (
    AlertBody,
    AlertDetail,
    AlertPage,
    AlertsQuery,
    DeliveryBody,
    EventBody,
    Nothing,
    NotifiedChannel,
    Reference,
)
from web.auth.access import require_scope
from web.deliveries import actions, alert_list, alert_queries, log
from web.deliveries.alert_facts import severity_of_row
from web.deliveries.alert_list import Cursor
from web.deliveries.alert_silences import silences_of
from web.deliveries.notifications import ChannelNotification
from web.deliveries.timeline import timeline
from web.problems import ApiError

bp = Blueprint("api_alerts", __name__, url_prefix="/api/v1/alerts")

MAX_DELIVERIES = 100


@bp.get("")
@require_scope("alerts:read")
@describe({200: AlertPage}, 422, query=AlertsQuery, gives=("Link",))
def index():
    """List the alerts that the filters accept, the latest change first."""
    paging.check_parameters(AlertsQuery)
    query = read_log_filter(request.args)
    status = request.args.get("status", "")
    if status and status not in list(AlertStatus):
        raise invalid("status", "There is no such status.")
    changed_at, number = paging.read_cursor()
    before = Cursor(changed_at, number) if changed_at else alert_list.read_cursor("")
    statuses = [status] if status else list(AlertStatus)
    page = alert_list.page_of(query.filter, statuses, before, paging.read_limit())
    return paging.page("alerts", [AlertBody(**_members(row)) for row in page.alerts], page.older)


def _members(row: Alert) -> dict:
    alert = alert_from_json(row.body)
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "severity": severity_of_row(row),
        "labels": without_internal(alert.labels),
        "annotations": without_internal(alert.annotations),
        "url": alert.url,
        "value": alert.value,
        "starts_at": rfc3339(alert.starts_at) or None,
        "ends_at": rfc3339(alert.ends_at) or None,
        "changed_at": rfc3339(row.changed_at),
        "seen_at": rfc3339(row.seen_at),
        "closes_at": rfc3339(row.closes_at) or None,
    }


@bp.get("/<int:alert_id>")
@require_scope("alerts:read")
@describe({200: AlertDetail}, 404)
def one(alert_id: int):
    """Return an alert with its channels, its latest deliveries and its timeline."""
    row = actions.load_alert(alert_id)
    alert = alert_from_json(row.body)
    now = now_ms()
    latest = log.page_of(LogFilter(alert=row.id), 0, MAX_DELIVERIES).deliveries
    events = []
    for entry in timeline(row, alert, latest):
        delivery_id = id_of(entry.delivery)
        events.append(EventBody(rfc3339(entry.at), entry.text, entry.cause, delivery_id))
    body = AlertDetail(
        **_members(row),
        channels=list(map(_channel_body, alert_queries.channel_notifications(row, now))),
        deliveries=[DeliveryBody(**members_of(delivery, now)) for delivery in latest],
        timeline=events,
        silences=[silence.id for silence in silences_of(alert, now)],
    )
    return to_json(body)


def _channel_body(notification: ChannelNotification) -> NotifiedChannel:
    channel = notification.channel
    return NotifiedChannel(
        channel=Reference(channel.id, channel.name),
        notified=notification.notified,
        concerned=notification.is_concerned,
        text=notification.text if notification.is_concerned else notification.mismatch,
        delivery=id_of(notification.last),
    )


@bp.post("/<int:alert_id>/close")
@require_scope("alerts:write")
@describe({200: AlertDetail}, 404, 409, 422, body=Nothing, optional=True)
def close(alert_id: int):
    """Close an alert that its source will never close."""
    read_body(Nothing)
    refusal = actions.close_alert(actions.load_alert(alert_id))
    if refusal:
        raise ApiError(409, f"Nothing was changed: {refusal}")
    return one(alert_id)
