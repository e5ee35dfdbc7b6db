"""Pages of deliveries. `delivery.outbox` carries out every action."""

import re
from typing import Any

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from clock import MINUTE, now_ms
from delivery import outbox
from delivery.content.severity import Severity
from delivery.log import search
from delivery.log.log_filter import STATE_FILTERS, LogFilter
from delivery.outcome import Reason
from models import Attempt, Channel, Delivery, DeliveryState, GroupMessage
from web.deliveries import actions, log, queries
from web.deliveries.alert_facts import alert_facts
from web.deliveries.list_page import render_list
from web.deliveries.log import Page
from web.deliveries.log_filter import FilterQuery, read_filter, read_number
from web.deliveries.sent_request import MAX_IN_MESSAGE, SentRequest, request_of
from web.redirects import redirect_with

bp = Blueprint("deliveries", __name__)

MAX_CHANNELS = 200  # to choose from
MAX_IN_GROUP = 200
SOON = 3 * MINUTE
_ACTION_STATES = {
    "retry_now": outbox.RETRIABLE_STATES,
    "snooze": (DeliveryState.PENDING,),
    "cancel": outbox.CANCELABLE_STATES,
}


@bp.get("/deliveries")
def index():
    """Show the deliveries that the filters of the address accept, newest first, page by page.

    With `found`, the number of rows that a search has found so far, the answer to htmx is what
    another part of the log adds to the list.
    """
    now = now_ms()
    query = read_filter(request.args, now)
    before = read_number(request.args, "before")
    found = read_number(request.args, "found")
    page = Page([], None)
    if not query.errors:
        page = log.page_of(query.filter, before, log.PAGE_SIZE)
    counts = _counts(query)
    return render_list(
        "deliveries",
        query,
        page=page,
        before=before,
        found=found + len(page.deliveries),
        page_size=log.PAGE_SIZE,
        counts=counts,
        total=_total(query.filter, counts),
        max_count=search.MAX_COUNT,
        channels=_channels(query.filter.channel),
        state_filters=map(_state_choice, STATE_FILTERS.items()),
        severities=zip(Severity, Severity, strict=True),
        reasons=[(reason, reason.replace("_", " ")) for reason in Reason],
        explain=queries.explain,
    )


def _state_choice(state_filter: tuple[str, tuple[DeliveryState, ...]]) -> tuple[str, str]:
    """Return the value and the text of a choice; of several states, the text names them."""
    name, states = state_filter
    text = name.replace("_", " ")
    if len(states) > 1:
        text = f"{text}: {', '.join(states)}"
    return name, text


def _counts(query: FilterQuery) -> dict[str, int]:
    """Return the numbers of deliveries by state filter; none where each row has to be read."""
    if query.filter.reads_rows or query.filter.alert or query.errors:
        return {}
    counts = search.count_by_state(query.filter)
    return {name: sum(counts[state] for state in states) for name, states in STATE_FILTERS.items()}


def _total(log_filter: LogFilter, counts: dict[str, int]) -> int | None:
    """Return how many deliveries a filter accepts, or None if they are not counted."""
    if not counts:
        return None
    return sum(counts[state] for state in log_filter.states or DeliveryState)


def _channels(selected: int) -> list[tuple[int, str]]:
    """Return the channels to choose from; of very many only the selected one."""
    columns: Any = Channel.listed().select(Channel.id, Channel.name).limit(MAX_CHANNELS + 1)
    channels = list(columns.tuples())
    if len(channels) <= MAX_CHANNELS:
        return channels
    return list(columns.where(Channel.id == selected).tuples())


@bp.get("/deliveries/msg_<int:number>")
def detail(number: int):
    """Show a delivery: its state, its attempts and its alert; or a group message.

    The answer is 204 for a poll of a page that has `seen` the latest state.
    """
    group = queries.find_group_message(number)
    if group:
        return _group_page(group)
    delivery = actions.load_delivery(number)
    seen = f"{delivery.state}-{delivery.attempts}"
    if request.args.get("seen") == seen:
        return "", 204
    attempts = queries.latest_attempts(delivery)
    refusal = queries.why_not_retried(delivery)
    return render_template(
        "deliveries/detail.html",
        delivery=delivery,
        seen=seen,
        poll_seconds=_poll_seconds(delivery, now_ms()),
        explanation=queries.explain(delivery, now_ms()),
        hint=queries.hint_for(delivery, attempts[-1] if attempts else None),
        actions=_allowed_actions(delivery, refusal),
        refusal=refusal,
        in_message=sum(queries.count_states_of_group(queries.group_message_of(delivery)).values()),
        attempts=attempts,
        sent=_sent_request(attempts),
        max_attempts=queries.MAX_ATTEMPTS,
        parse_stages=queries.parse_stages,
        **alert_facts(delivery.alert),
    )


def _poll_seconds(delivery: Delivery, now: int) -> int:
    """Return after how many seconds a page asks for changes: seldom long before an attempt."""
    if delivery.state not in (DeliveryState.PENDING, DeliveryState.SENDING):
        return 0
    return 3 if delivery.due_at - now < SOON else 60


def _group_page(group: GroupMessage) -> str:
    """Return the page of a group message: its attempts, and its deliveries."""
    states = queries.count_states_of_group(group.id)
    attempts = queries.attempts_of_group(group.id)
    return render_template(
        "deliveries/group.html",
        group=group,
        states=states,
        size=sum(states.values()),
        deliveries=queries.deliveries_of_group(group.id, MAX_IN_GROUP),
        explain=queries.explain,
        attempts=attempts,
        sent=_sent_request(attempts),
        max_attempts=queries.MAX_ATTEMPTS,
        parse_stages=queries.parse_stages,
    )


def _sent_request(attempts: list[Attempt]) -> SentRequest | None:
    """Return the request of the last attempt, or None without one."""
    if not attempts:
        return None
    last = attempts[-1]
    deliveries = queries.deliveries_of_attempt(last, MAX_IN_MESSAGE)
    if not deliveries:
        return None
    return request_of(last, deliveries)


def _allowed_actions(delivery: Delivery, refusal: str) -> set[str]:
    actions = {name for name, states in _ACTION_STATES.items() if delivery.state in states}
    if refusal:
        actions.discard("retry_now")
    return actions


@bp.post("/deliveries/msg_<int:number>/now")
def retry_now(number: int) -> Response:
    """Make a delivery due now."""
    return report(number, actions.retry_now(number), "The delivery is due now.")


@bp.post("/deliveries/msg_<int:number>/postpone")
def snooze(number: int) -> Response:
    """Delay the next attempt of a delivery by the posted minutes."""
    text = request.form.get("minutes", "60").strip()
    minutes = int(text) if re.fullmatch("[0-9]{1,4}", text, re.ASCII) else 0
    done = f"The delivery is snoozed for {minutes} minutes."
    return report(number, actions.snooze(number, minutes), done)


@bp.post("/deliveries/msg_<int:number>/give-up")
def cancel(number: int) -> Response:
    """Cancel a delivery."""
    done = "The delivery is canceled and is not retried automatically."
    return report(number, actions.cancel(number), done)


def report(number: int, refusal: str, message: str) -> Response:
    """Redirect to a delivery with the message, or with why nothing was changed."""
    if refusal:
        unchanged = f"Nothing was changed: {refusal}"
        return redirect_with(unchanged, "deliveries.detail", "bad", number=number)
    return redirect_with(message, "deliveries.detail", number=number)
