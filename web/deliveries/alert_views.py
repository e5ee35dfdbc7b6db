"""Pages of alerts. `delivery.outbox` carries out every action."""

from flask import Blueprint, abort, render_template, request
from werkzeug.wrappers import Response

from clock import now_ms
from delivery.alerts.alert import AlertStatus
from delivery.alerts.received import alert_from_json
from delivery.content.severity import Severity
from delivery.log.log_filter import LogFilter
from web import truncation
from web.deliveries import actions, alert_list, alert_queries, alert_silences, log
from web.deliveries.alert_facts import alert_facts
from web.deliveries.alert_list import AlertPage
from web.deliveries.list_page import render_list
from web.deliveries.log_filter import read_filter, read_number
from web.deliveries.timeline import timeline
from web.redirects import redirect_with
from web.silences import start_silence

bp = Blueprint("alerts", __name__, url_prefix="/alerts")

MAX_IN_TIMELINE = 100  # deliveries


@bp.get("")
def index():
    """Show the alerts that the filters of the address accept, the latest change first.

    `found` is as in the list of deliveries.
    """
    now = now_ms()
    query = read_filter(request.args, now)
    status = request.args.get("status", "")
    if status and status not in list(AlertStatus):
        abort(404, "There is no such status.")
    texts = dict(query.texts)
    statuses: list[str] = list(AlertStatus)
    if status:
        statuses = [status]
        texts["status"] = status
    before = request.args.get("before", "")
    found = read_number(request.args, "found")
    page = AlertPage([], None)
    if not query.errors:
        cursor = alert_list.read_cursor(before)
        page = alert_list.page_of(query.filter, statuses, cursor, alert_list.PAGE_SIZE)
    return render_list(
        "alerts",
        query,
        texts=texts,
        status=status,
        statuses=zip(AlertStatus, AlertStatus, strict=True),
        severities=zip(Severity, Severity, strict=True),
        page=page,
        before=before,
        found=found + len(page.alerts),
        page_size=alert_list.PAGE_SIZE,
        open_counts=alert_list.count_open(),
        max_count=alert_list.MAX_COUNT,
        truncations=truncation.recent(now),
        max_of_alert=alert_list.MAX_OF_ALERT,
    )


@bp.get("/<int:alert_id>")
def detail(alert_id: int):
    """Show an alert, and for each channel whether it was notified."""
    row = actions.load_alert(alert_id)
    concerned = []
    others = []
    for notification in alert_queries.channel_notifications(row, now_ms()):
        if notification.is_concerned:
            concerned.append(notification)
        else:
            others.append(notification)
    facts = alert_facts(row)
    latest = log.page_of(LogFilter(alert=row.id), 0, MAX_IN_TIMELINE)
    return render_template(
        "alerts/detail.html",
        timeline=timeline(row, facts["alert"], latest.deliveries),
        is_cut=latest.older is not None,
        max_of_alert=MAX_IN_TIMELINE,
        concerned=concerned,
        others=others,
        silences=alert_silences.silences_of(facts["alert"], now_ms()),
        offer=alert_silences.offer_for(facts["alert"]),
        durations=alert_silences.DURATIONS,
        comment=alert_silences.comment_for(facts["alert"]),
        **facts,
    )


@bp.post("/<int:alert_id>/silence")
def silence(alert_id: int) -> Response:
    """Silence exactly this alert for one of the offered durations."""
    row = actions.load_alert(alert_id)
    alert = alert_from_json(row.body)
    hours = request.form.get("hours", "")
    duration = alert_silences.duration_of(hours)
    matchers = alert_silences.offer_for(alert).matchers
    problem = ""
    if row.status != AlertStatus.OPEN:
        problem = "the alert is closed."
    elif not duration:
        problem = "choose one of the durations."
    elif not matchers:
        problem = "its labels are too long for a silence."
    if problem:
        message = f"Nothing was changed: {problem}"
        return redirect_with(message, "alerts.detail", "bad", alert_id=row.id)
    start_silence(matchers, alert_silences.comment_for(alert), now_ms() + duration)
    message = (
        f"The alert is silenced for {alert_silences.DURATIONS[hours]}: no notification is sent "
        "for it until then."
    )
    return redirect_with(message, "alerts.detail", alert_id=row.id)


@bp.post("/<int:alert_id>/close")
def close(alert_id: int) -> Response:
    """Close an alert that its source will never close."""
    row = actions.load_alert(alert_id)
    refusal = actions.close_alert(row)
    if refusal:
        message = f"Nothing was changed: {refusal}"
        return redirect_with(message, "alerts.detail", "bad", alert_id=row.id)
    message = "The alert is closed. Channels that were notified get the resolution."
    return redirect_with(message, "alerts.detail", alert_id=row.id)
