"""The log of deliveries, one of them with its attempts, and the alerts that they tell of. What is done here the outbox does."""

import re

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.alerts.alert import rfc3339
from delivery.alerts.routing import alert_from_json
from delivery.queue import wakeup
from models import LARGEST_ID, Alert, Attempt, Channel, ChannelState, Delivery, DeliveryState
from web.deliveries import queries
from web.services import services

bp = Blueprint("deliveries", __name__)

MOST_SHOWN = 100
MOST_MINUTES = 720
OFFERED = {
    "now": (
        DeliveryState.PENDING,
        DeliveryState.FAILED,
        DeliveryState.GIVEN_UP,
        DeliveryState.PARKED,
    ),
    "postpone": (DeliveryState.PENDING,),
    "give-up": (DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.PARKED),
}


@bp.get("/deliveries")
def index():
    """The log, newest first, a page at a time."""
    asked = {
        name: request.args[name]
        for name in ("state", "channel", "alert", "before")
        if request.args.get(name)
    }
    states = queries.STATES.get(asked.get("state", ""), ())
    if "state" in asked and not states:
        abort(404, "No delivery is ever in such a state.")
    found, now = (
        queries.listed(states, *(_number(asked, name) for name in ("channel", "alert", "before"))),
        now_ms(),
    )
    said = queries.last_said(found)
    rows = [
        (one, queries.standing(one, said.get(one.id, ""), now)) for one in found[: queries.PAGE]
    ]
    older = {**asked, "before": rows[-1][0].webhook_id} if len(found) > queries.PAGE else None
    counts = {state: queries.counted(state) for state in (queries.WAITING, DeliveryState.PARKED)}
    shown = {
        "asked": asked,
        "older": older,
        "counts": counts,
        "most": queries.MOST_COUNTED,
        "states": queries.STATES,
        "now": now,
    }
    return render_template(
        "deliveries/index.html", rows=rows, channels=list(Channel.listed()), **shown
    )


def _number(asked: dict[str, str], name: str) -> int:
    """The number in `7` and in `msg_7`; 0 when the address does not ask for one."""
    found = re.fullmatch("(?:msg_)?([0-9]{1,19})", asked.get(name, "0"), re.ASCII)
    return (
        min(int(found[1]), LARGEST_ID)
        if found
        else abort(404, f"What the address gives as “{name}” is no number.")
    )


@bp.get("/deliveries/msg_<int:number>")
def one(number: int):
    """One delivery: why it is where it is, its attempts, and the alert."""
    delivery, now = _found(number), now_ms()
    rows = list(
        Attempt.select()
        .where(Attempt.delivery == number)
        .order_by(Attempt.id.desc())
        .limit(MOST_SHOWN)
    )
    shown = {
        "says": queries.SAYS.get(delivery.state, ""),
        "why": queries.standing(delivery, rows[0].says if rows else "", now),
        "hint": queries.hint_of(delivery, rows[0] if rows else None),
        "attempts": [
            {"row": row, "stages": queries.stages_of(row.stages), "milliseconds": row.milliseconds}
            for row in rows[::-1]
        ],
        "offers": [action for action in OFFERED if _may(action, delivery)],
    }
    alert = alert_from_json(delivery.alert.body)
    link = re.match(r"https?://\S", alert.url, re.IGNORECASE)  # anything else could be a script
    return render_template(
        "deliveries/one.html",
        delivery=delivery,
        alert=alert,
        link=link,
        most=MOST_SHOWN,
        now=now,
        **shown,
    )


def _found(number: int) -> Delivery:
    return queries.found(number) or abort(
        404, "There is no such delivery. Its channel may have been deleted, and its log with it."
    )


def _may(action: str, delivery: Delivery) -> bool:
    """A paused channel gets nothing, whoever asks: who wants to send resumes it first."""
    return delivery.state in OFFERED[action] and (
        action != "now" or delivery.channel.state != ChannelState.PAUSED
    )


@bp.post("/deliveries/msg_<int:number>/now", defaults={"action": "now"})
@bp.post("/deliveries/msg_<int:number>/postpone", defaults={"action": "postpone"})
@bp.post("/deliveries/msg_<int:number>/give-up", defaults={"action": "give-up"})
def act(number: int, action: str) -> Response:
    """Makes it due now, puts it off or gives it up; says so where that cannot be done."""
    delivery, typed = _found(number), request.form.get("minutes", "60").strip()
    minutes = int(typed) if re.fullmatch("[0-9]{1,4}", typed, re.ASCII) else 0
    if action == "postpone" and not 1 <= minutes <= MOST_MINUTES:
        flash(f"Nothing was done: enter whole minutes, from 1 to {MOST_MINUTES}.", "bad")
    elif words := _may(action, delivery) and _done(action, number, minutes):
        flash(words)
    else:
        flash(_refusal(_found(number)), "bad")
    return redirect(url_for("deliveries.one", number=number), 303)


def _done(action: str, number: int, minutes: int) -> str:
    """Does it, and says what was done; nothing when it could not be done any more."""
    now = now_ms()
    if action == "postpone":
        return (
            f"The next attempt is put off by {minutes} minutes."
            if outbox.snooze(number, minutes, now)
            else ""
        )
    if action == "give-up":
        return (
            "It is given up, and not tried again by itself."
            if outbox.cancel(number, g.person.name, now)
            else ""
        )
    if not outbox.retry_now(number, now):
        return ""
    wakeup.notify(services().config.data_dir)
    return "It is due now. Reload this page in a moment to see what comes of it."


def _refusal(delivery: Delivery) -> str:
    state = delivery.state.replace("_", " ")
    if delivery.channel.state == ChannelState.PAUSED:
        return f"Nothing was done: the channel is paused, and this delivery is {state}. Resume the channel first."
    return f"Nothing was done: this delivery is {state} by now."


@bp.get("/alerts")
def alerts():
    """The alerts that came last, and how many deliveries each made."""
    rows = list(Alert.latest(MOST_SHOWN))
    return render_template(
        "alerts/index.html", alerts=rows, made=queries.made_by(rows), now=now_ms()
    )


@bp.app_template_filter()
def second(then: int) -> str:
    """`2026-03-02 09:15:07 UTC`."""
    return f"{rfc3339(then)[:19].replace('T', ' ')} UTC"
