"""Pages of deliveries and alerts. `delivery.outbox` carries out every action."""

import re

from flask import Blueprint, abort, g, render_template, request
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.alerts.alert import AlertStatus, without_internal
from delivery.alerts.received import alert_from_json
from delivery.content.facts import subject_of
from delivery.content.links import links_of
from delivery.message import ANONYMOUS
from delivery.queue import wakeup
from delivery.text import one_line
from models import MAX_ID, Alert, Channel, Delivery, DeliveryState, GroupMessage
from web import truncation
from web.deliveries import alert_queries, alert_silences, queries
from web.redirects import redirect_with
from web.services import services
from web.silences import start_silence

bp = Blueprint("deliveries", __name__)

MAX_ALERTS = 100
MAX_IN_GROUP = 200
MAX_SNOOZE_MINUTES = 720
_COUNTED_STATES = (queries.WAITING, DeliveryState.PARKED)
_ACTION_STATES = {
    "retry_now": outbox.RETRIABLE_STATES,
    "snooze": (DeliveryState.PENDING,),
    "cancel": outbox.CANCELABLE_STATES,
}


@bp.get("/deliveries")
def index():
    """Show the deliveries, newest first, one page at a time."""
    names = ("state", "channel", "alert", "before")
    query = {name: request.args[name] for name in names if request.args.get(name)}
    states = queries.STATE_FILTERS.get(query.get("state", ""), ())
    if "state" in query and not states:
        abort(404, "There is no such delivery state.")
    numbers = [_number(query, name) for name in names[1:]]
    deliveries = queries.page_of_deliveries(states, *numbers)
    older = None
    if len(deliveries) > queries.PAGE_SIZE:
        deliveries.pop()
        older = {**query, "before": deliveries[-1].webhook_id}
    return render_template(
        "deliveries/index.html",
        query=query,
        deliveries=deliveries,
        subject_of=_subject_of,
        explain=queries.explain,
        older=older,
        channels=list(Channel.listed()),
        state_filters=queries.STATE_FILTERS,
        counts={name: queries.count_deliveries(name) for name in _COUNTED_STATES},
        max_count=queries.MAX_COUNT,
    )


def _number(query: dict[str, str], name: str) -> int:
    """Return the number in `7` or `msg_7`; 0 if the query has no such member."""
    match = re.fullmatch("(?:msg_)?([0-9]{1,19})", query.get(name, "0"), re.ASCII) or abort(
        404, f"The value of “{name}” in the address is not a number."
    )
    return min(int(match[1]), MAX_ID)


@bp.get("/deliveries/msg_<int:number>")
def detail(number: int):
    """Show a delivery: its state, its attempts and its alert; or a group message."""
    group = queries.find_group_message(number)
    if group:
        return _group_page(group)
    delivery = _load(number)
    attempts = queries.latest_attempts(delivery)
    refusal = queries.why_not_retried(delivery)
    return render_template(
        "deliveries/detail.html",
        delivery=delivery,
        explanation=queries.explain(delivery, now_ms()),
        hint=queries.hint_for(delivery, attempts[-1] if attempts else None),
        actions=_allowed_actions(delivery, refusal),
        refusal=refusal,
        in_message=sum(queries.count_states_of_group(queries.group_message_of(delivery)).values()),
        attempts=attempts,
        max_attempts=queries.MAX_ATTEMPTS,
        parse_stages=queries.parse_stages,
        **_alert_facts(delivery.alert),
    )


def _group_page(group: GroupMessage) -> str:
    """Return the page of a group message: its attempts, and its deliveries."""
    states = queries.count_states_of_group(group.id)
    return render_template(
        "deliveries/group.html",
        group=group,
        states=states,
        size=sum(states.values()),
        deliveries=queries.deliveries_of_group(group.id, MAX_IN_GROUP),
        subject_of=_subject_of,
        explain=queries.explain,
        attempts=queries.attempts_of_group(group.id),
        max_attempts=queries.MAX_ATTEMPTS,
        parse_stages=queries.parse_stages,
    )


def _alert_facts(row: Alert) -> dict:
    """Return the variables of the templates that show an alert."""
    alert = alert_from_json(row.body)
    # Any other scheme could run a script.
    is_link = re.match(r"https?://\S", alert.url, re.IGNORECASE)
    labels = {name: one_line(text) for name, text in without_internal(alert.labels).items()}
    texts = {"Labels": labels, "Annotations": without_internal(alert.annotations)}
    links = links_of(alert, ANONYMOUS, is_test=False)
    return {"row": row, "alert": alert, "is_link": is_link, "links": links, "texts": texts}


def _subject_of(row: Alert) -> str:
    return subject_of(alert_from_json(row.body).labels)


def _load(number: int) -> Delivery:
    return queries.find_delivery(number) or abort(
        404,
        "There is no such delivery. It is deleted together with its channel, "
        "or when it is older than Tocsin keeps deliveries.",
    )


def _allowed_actions(delivery: Delivery, refusal: str) -> set[str]:
    actions = {name for name, states in _ACTION_STATES.items() if delivery.state in states}
    if refusal:
        actions.discard("retry_now")
    return actions


@bp.post("/deliveries/msg_<int:number>/now")
def retry_now(number: int) -> Response:
    """Make a delivery due now."""
    done = outbox.retry_now(number, now_ms())
    if done:
        wakeup.notify(services().config.data_dir)
    return _report(number, done, "The delivery is due now. Reload this page to see the result.")


@bp.post("/deliveries/msg_<int:number>/postpone")
def snooze(number: int) -> Response:
    """Delay the next attempt of a delivery by the posted minutes."""
    text = request.form.get("minutes", "60").strip()
    minutes = int(text) if re.fullmatch("[0-9]{1,4}", text, re.ASCII) else 0
    if not 1 <= minutes <= MAX_SNOOZE_MINUTES:
        reason = f"enter whole minutes from 1 to {MAX_SNOOZE_MINUTES}."
        return _redirect_unchanged(number, reason)
    done = outbox.snooze(number, minutes, now_ms())
    return _report(number, done, f"The delivery is snoozed for {minutes} minutes.")


@bp.post("/deliveries/msg_<int:number>/give-up")
def cancel(number: int) -> Response:
    """Cancel a delivery."""
    done = outbox.cancel(number, g.person.name, now_ms())
    return _report(number, done, "The delivery is canceled and is not retried automatically.")


def _report(number: int, done: bool, message: str) -> Response:
    """Redirect to a delivery with the message, or with why nothing was changed."""
    delivery = _load(number)
    if done:
        return redirect_with(message, "deliveries.detail", number=number)
    reason = (
        f"the delivery is {delivery.state.replace('_', ' ')}. {queries.why_not_retried(delivery)}"
    )
    return _redirect_unchanged(number, reason.strip())


def _redirect_unchanged(number: int, reason: str) -> Response:
    message = f"Nothing was changed: {reason}"
    return redirect_with(message, "deliveries.detail", "bad", number=number)


@bp.get("/alerts")
def alerts():
    """Show the latest alerts and the number of deliveries of each."""
    return render_template(
        "alerts/index.html",
        alerts=queries.latest_alerts(MAX_ALERTS),
        truncations=truncation.recent(now_ms()),
        max_of_alert=queries.MAX_OF_ALERT,
    )


@bp.get("/alerts/<int:alert_id>")
def alert(alert_id: int):
    """Show an alert, and for each channel whether it was notified."""
    row = _load_alert(alert_id)
    concerned = []
    others = []
    for notification in alert_queries.channel_notifications(row, now_ms()):
        if notification.is_concerned:
            concerned.append(notification)
        else:
            others.append(notification)
    facts = _alert_facts(row)
    return render_template(
        "alerts/detail.html",
        concerned=concerned,
        others=others,
        silences=alert_silences.silences_of(facts["alert"], now_ms()),
        offer=alert_silences.offer_for(facts["alert"]),
        durations=alert_silences.DURATIONS,
        comment=alert_silences.comment_for(facts["alert"]),
        **facts,
    )


def _load_alert(alert_id: int) -> Alert:
    return alert_queries.find_alert(alert_id) or abort(
        404, "There is no such alert. A closed alert is deleted with its last delivery."
    )


@bp.post("/alerts/<int:alert_id>/silence")
def silence_alert(alert_id: int) -> Response:
    """Silence exactly this alert for one of the offered durations."""
    row = _load_alert(alert_id)
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
        return redirect_with(message, "deliveries.alert", "bad", alert_id=row.id)
    start_silence(matchers, alert_silences.comment_for(alert), duration)
    message = (
        f"The alert is silenced for {alert_silences.DURATIONS[hours]}: no notification is sent "
        "for it until then."
    )
    return redirect_with(message, "deliveries.alert", alert_id=row.id)


@bp.post("/alerts/<int:alert_id>/close")
def close_alert(alert_id: int) -> Response:
    """Close an alert that its source will never close."""
    row = _load_alert(alert_id)
    if not outbox.close_alert(row.id, now_ms()):
        message = "Nothing was changed: the alert is closed already."
        return redirect_with(message, "deliveries.alert", "bad", alert_id=row.id)
    wakeup.notify(services().config.data_dir)
    message = "The alert is closed. Channels that were notified get the resolution."
    return redirect_with(message, "deliveries.alert", alert_id=row.id)
