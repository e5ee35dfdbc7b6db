"""What the log's pages read, and how they say it. Every list is found in an index, however many deliveries there are."""

import contextlib
import json
from typing import Any

from peewee import SQL, fn

from delivery.outcome import REASONS, StageResult, Verdict, status_hint
from models import LARGEST_ID, Alert, Attempt, Channel, Delivery, DeliveryState

PAGE, MOST_COUNTED = 50, 1000
WAITING = "waiting"
SAYS = {
    DeliveryState.PENDING: "It has not arrived yet, and Tocsin goes on trying.",
    DeliveryState.SENDING: "It is being sent just now.",
    DeliveryState.HELD: "It is held until its channel delivers again: resume the channel, or mend and save it if it is failing.",
    DeliveryState.DELIVERED: "The receiver has taken it.",
    DeliveryState.ACCEPTED: "The receiver has queued it, and confirms nothing more.",
    DeliveryState.FAILED: "It did not arrive, and is not tried again by itself.",
    DeliveryState.SUPERSEDED: "Something newer about the same alert is told instead.",
    DeliveryState.GIVEN_UP: "It is not tried again.",
    DeliveryState.DROPPED: "A silence held it back: it is not sent.",
    DeliveryState.PARKED: "It was put aside, and is not tried again by itself.",
}
STATES = {WAITING: (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD)} | {
    state: (state,) for state in SAYS
}
PARKED_HINT = (
    "This is a fault of Tocsin's: please report it, with the worker's log of that time. Change the channel's message and press "
    "Now to try again, or give it up."
)
OVER_HINT = "Find out from the receiver's log why it failed. Once it is well again, press Now."
_COLUMNS = [
    field for field in Delivery._meta.sorted_fields if field.name != "body"
]  # it may be sealed, and large


def listed(states: tuple[str, ...], channel: int, alert: int, before: int) -> list[Delivery]:
    """The deliveries that these filters leave (nothing: all), newest first: a page of them, and one more if there is one."""
    ids = Delivery.select(Delivery.id).where(Delivery.id < (before or LARGEST_ID))
    ids = ids.where(Delivery.channel == channel) if channel else ids
    if states:
        # Two indexes and no row: a channel's rows have bodies, and none of thousands may be in this state.
        inside = Delivery.select(Delivery.id).where(Delivery.state << states)
        ids = ids.where(Delivery.id << inside) if channel else ids.where(Delivery.state << states)
    ids = ids.where(Delivery.alert == alert) if alert else ids
    return list(rows_of(ids.order_by(Delivery.id.desc()).limit(PAGE + 1)))


def rows_of(ids: Any) -> Any:
    """The deliveries that a query of ids finds, newest first, with the names of alert and channel. No row is read before."""
    rows = (
        Delivery.select(*_COLUMNS, Alert.id, Alert.name, Channel.id, Channel.name)
        .join(Alert)
        .switch(Delivery)
        .join(Channel)
    )
    return rows.where(Delivery.id << ids).order_by(Delivery.id.desc())


def found(number: int) -> Delivery | None:
    """One delivery with its whole alert, and its channel's name and state; or None."""
    rows = Delivery.select(*_COLUMNS, Alert, Channel.id, Channel.name, Channel.state)
    named = rows.join(Alert).switch(Delivery).join(Channel)
    return named.where(Delivery.id == min(number, LARGEST_ID)).first()


def counted(state: str) -> int:
    """How many are in this state; no further than one beyond a thousand."""
    return (
        Delivery.select(SQL("1"))
        .where(Delivery.state << STATES[state])
        .limit(MOST_COUNTED + 1)
        .count()
    )


def last_said(deliveries: list[Delivery]) -> dict[int, str]:
    """By the deliveries' ids, the sentence that the last attempt of each ended in."""
    latest = (
        Attempt.select(fn.MAX(Attempt.id))
        .where(Attempt.delivery << deliveries)
        .group_by(Attempt.delivery)
    )
    said: Any = Attempt.select(Attempt.delivery, Attempt.says).where(Attempt.id << latest)
    return dict(said.tuples())


def made_by(alerts: list[Alert]) -> dict[int, int]:
    """By the alerts' ids, how many deliveries each made."""
    counts: Any = (
        Delivery.select(Delivery.alert, fn.COUNT(SQL("1")))
        .where(Delivery.alert << alerts)
        .group_by(Delivery.alert)
    )
    return dict(counts.tuples())


def standing(delivery: Delivery, said: str, now: int) -> str:
    """Why a delivery is where it is: when the next attempt is due, the cause, and what the last attempt came to."""
    seconds, begins = -((now - delivery.due_at) // 1000), ""
    if delivery.state == DeliveryState.PENDING:
        begins = (
            f"Next attempt in {_length(seconds)}."
            if seconds > 0
            else "The next attempt is due now."
        )
    elif delivery.state == DeliveryState.SENDING:
        begins = f"Attempt {delivery.attempts} is under way."
    last = "" if said in delivery.cause else f"The last attempt: {said}"
    return " ".join(filter(None, (begins, delivery.cause, last)))


def _length(seconds: int) -> str:
    return (
        f"{seconds} s"
        if seconds <= 120
        else f"{seconds // 60} min"
        if seconds <= 7200
        else f"{seconds // 3600} h"
    )


def stages_of(text: str) -> tuple[StageResult, ...]:
    """The stages of an attempt's row; none of a damaged one."""
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return tuple(
            StageResult(one["name"], float(one["milliseconds"]), one["detail"], one["ok"])
            for one in json.loads(text)
        )
    return ()


def hint_of(delivery: Delivery, attempt: Attempt | None) -> str:
    """What to do about a delivery whose last attempt this is; nothing where there is nothing to do or no advice."""
    if delivery.state == DeliveryState.PARKED:
        return PARKED_HINT
    if (
        attempt is None
        or delivery.state
        in (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.SUPERSEDED)
        or attempt.actor == "proxy"
    ):
        return ""
    if attempt.reason == "http_status" and attempt.status:
        # The table's words promise another attempt where one usually follows.
        over = attempt.verdict == Verdict.RETRY and delivery.state in (
            DeliveryState.FAILED,
            DeliveryState.GIVEN_UP,
        )
        return OVER_HINT if over else status_hint(attempt.status)
    return REASONS[attempt.reason].hint if attempt.reason in REASONS else ""
