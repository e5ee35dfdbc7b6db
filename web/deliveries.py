"""The log of deliveries, one of them with its attempts, and the alerts that they tell of. What is done here the outbox does."""

import re

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from delivery import outbox, wake
from delivery.alert import rfc3339
from delivery.owing import alert_of
from models import FAILED, GIVEN_UP, HELD, LARGEST_ID, PARKED, PAUSED, PENDING, Alert, Attempt, Channel, Delivery
from web import log
from web.editor import now_ms
from web.services import services

bp = Blueprint("deliveries", __name__)

MOST_SHOWN = 100
MOST_MINUTES = 720
OFFERED = {"now": (PENDING, FAILED, GIVEN_UP, PARKED), "postpone": (PENDING,), "give-up": (PENDING, HELD, PARKED)}


@bp.get("/deliveries")
def index():
    """The log, newest first, a page at a time."""
    asked = {name: request.args[name] for name in ("state", "channel", "alert", "before") if request.args.get(name)}
    states = log.STATES.get(asked.get("state", ""), ())
    if "state" in asked and not states:
        abort(404, "No delivery is ever in such a state.")
    found, now = log.listed(states, *(_number(asked, name) for name in ("channel", "alert", "before"))), now_ms()
    said = log.last_said(found)
    rows = [(one, log.standing(one, said.get(one.id, ""), now)) for one in found[: log.PAGE]]
    older = {**asked, "before": rows[-1][0].webhook_id} if len(found) > log.PAGE else None
    counts = {state: log.counted(state) for state in (log.WAITING, PARKED)}
    shown = {"asked": asked, "older": older, "counts": counts, "most": log.MOST_COUNTED, "states": log.STATES, "now": now}
    return render_template("deliveries/index.html", rows=rows, channels=list(Channel.listed()), **shown)


def _number(asked: dict[str, str], name: str) -> int:
    """The number in `7` and in `msg_7`; 0 when the address does not ask for one."""
    found = re.fullmatch("(?:msg_)?([0-9]{1,19})", asked.get(name, "0"), re.ASCII)
    return min(int(found[1]), LARGEST_ID) if found else abort(404, f"What the address gives as “{name}” is no number.")


@bp.get("/deliveries/msg_<int:number>")
def one(number: int):
    """One delivery: why it is where it is, its attempts, and the alert."""
    delivery, now = _found(number), now_ms()
    rows = list(Attempt.select().where(Attempt.delivery == number).order_by(Attempt.id.desc()).limit(MOST_SHOWN))
    shown = {
        "says": log.SAYS.get(delivery.state, ""),
        "why": log.standing(delivery, rows[0].says if rows else "", now),
        "hint": log.hint_of(delivery, rows[0] if rows else None),
        "attempts": [{"row": row, "stages": log.stages_of(row.stages), "milliseconds": row.milliseconds} for row in rows[::-1]],
        "offers": [action for action in OFFERED if _may(action, delivery)],
    }
    alert = alert_of(delivery.alert.body)
    link = re.match(r"https?://\S", alert.url, re.IGNORECASE)  # anything else could be a script
    return render_template("deliveries/one.html", delivery=delivery, alert=alert, link=link, most=MOST_SHOWN, now=now, **shown)


def _found(number: int) -> Delivery:
    return log.found(number) or abort(404, "There is no such delivery. Its channel may have been deleted, and its log with it.")


def _may(action: str, delivery: Delivery) -> bool:
    """A paused channel gets nothing, whoever asks: who wants to send resumes it first."""
    return delivery.state in OFFERED[action] and (action != "now" or delivery.channel.state != PAUSED)


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
        return f"The next attempt is put off by {minutes} minutes." if outbox.postpone(number, minutes, now) else ""
    if action == "give-up":
        return "It is given up, and not tried again by itself." if outbox.give_up(number, g.person.name, now) else ""
    if not outbox.hurry(number, now):
        return ""
    wake.ring(services().config.data_dir)
    return "It is due now. Reload this page in a moment to see what comes of it."


def _refusal(delivery: Delivery) -> str:
    state = delivery.state.replace("_", " ")
    if delivery.channel.state == PAUSED:
        return f"Nothing was done: the channel is paused, and this delivery is {state}. Resume the channel first."
    return f"Nothing was done: this delivery is {state} by now."


@bp.get("/alerts")
def alerts():
    """The alerts that came last, and how many deliveries each made."""
    rows = list(Alert.latest(MOST_SHOWN))
    return render_template("alerts/index.html", alerts=rows, made=log.made_by(rows), now=now_ms())


@bp.app_template_filter()
def second(then: int) -> str:
    """`2026-03-02 09:15:07 UTC`."""
    return f"{rfc3339(then)[:19].replace('T', ' ')} UTC"
