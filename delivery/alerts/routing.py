"""Who is owed what because of an alert: pure rules over routes, silences, and what was told before."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from clock import DAY, MINUTE
from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.matchers import Matcher, labels_of, matches
from delivery.json_text import parse_or_none
from models import ChannelState, DeliveryState

DELIVERY_LIFETIME = DAY
PROBE_INTERVAL = 10 * MINUTE
WAITING = (DeliveryState.PENDING, DeliveryState.HELD)
WORDS = {
    "held": "The channel does not deliver just now: held until it does.",
    "closed": "The alert closed before this was delivered; its closing is told instead.",
    "opened": "The alert opened anew before this was delivered; that is told instead.",
}


@dataclass(frozen=True)
class ReceivedAlert:
    """An alert as it comes in: the key that names its thing, what it says, and when an open one closes by itself."""

    key: str
    alert: Alert
    closes_at: int | None = None


@dataclass(frozen=True)
class IngestResult:
    """An alert that was stored: its id, and the deliveries that this made (their `webhook-id`)."""

    id: int
    deliveries: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChannelRoute:
    """What a channel wants to hear: its id and state, its matchers, and after how many minutes again (0: never)."""

    channel: int
    state: str
    matchers: tuple[Matcher, ...]
    repeat: int


@dataclass
class WritePlan:
    """What one transaction will write. `told` has the last delivery of each alert and channel, as (id, event, state, time)."""

    now: int
    next_id: int
    told: dict[tuple[int, int], tuple[int, str, str, int]]
    alerts: list[tuple] = field(default_factory=list)
    fresh: list[tuple] = field(default_factory=list)
    deliveries: list[tuple] = field(default_factory=list)
    overtaken: list[tuple] = field(default_factory=list)


def merged(alert: Alert, body: str, now: int) -> Alert:
    """The alert with both times; a closing that says little keeps what the opening said."""
    before = alert_from_json(body) if body else None
    if alert.status == AlertStatus.OPEN:
        again = before.starts_at if before and before.status == AlertStatus.OPEN else None
        return replace(alert, starts_at=alert.starts_at or again or now, ends_at=None)
    if before is None:
        return replace(
            alert, starts_at=alert.starts_at or alert.ends_at or now, ends_at=alert.ends_at or now
        )
    return replace(
        alert,
        labels=alert.labels or before.labels,
        annotations=alert.annotations or before.annotations,
        url=alert.url or before.url,
        starts_at=alert.starts_at or before.starts_at,
        ends_at=alert.ends_at
        or (before.ends_at if before.status == AlertStatus.CLOSED else None)
        or now,
    )


def owe(
    batch: WritePlan,
    alert_id: int,
    alert: Alert,
    before: str,
    routes: list[ChannelRoute],
    silences: list,
) -> Iterator[str]:
    """Puts into the batch what this alert makes owed, and gives the `webhook-id` of each.

    `before` is the alert's status until now (empty: it was not known); a silence is its matchers and its words.
    """
    labels = labels_of(alert)
    silenced = next(
        (
            words
            for matchers, words in silences
            if alert.status == AlertStatus.OPEN and matches(matchers, labels)
        ),
        "",
    )
    for route in routes:
        last = batch.told.get((alert_id, route.channel))
        repeats = _repeats(route, alert, before, last, batch.now, labels)
        if repeats is None or (silenced and last and before == AlertStatus.OPEN):
            continue
        if last and last[2] in WAITING and not silenced:
            words = WORDS["closed" if alert.status == AlertStatus.CLOSED else "opened"]
            batch.overtaken.append((words, batch.now, alert_id, route.channel, batch.next_id))
        state = (
            DeliveryState.DROPPED
            if silenced
            else DeliveryState.PENDING
            if route.state == ChannelState.DELIVERING
            else DeliveryState.HELD
        )
        cause = silenced or ("" if state == DeliveryState.PENDING else WORDS["held"])
        due = batch.now + (PROBE_INTERVAL if route.state == ChannelState.FAILING else 0)
        settled = batch.now if state == DeliveryState.DROPPED else None
        row = (
            batch.next_id,
            route.channel,
            alert_id,
            alert.status,
            int(repeats),
            state,
            due,
            batch.now + DELIVERY_LIFETIME,
            cause,
        )
        batch.deliveries.append((*row, batch.now, settled))
        if not silenced or last is None:
            batch.told[alert_id, route.channel] = (batch.next_id, alert.status, state, batch.now)
        yield f"msg_{batch.next_id}"
        batch.next_id += 1


def _repeats(
    route: ChannelRoute, alert: Alert, before: str, last: tuple | None, now: int, labels: dict
) -> bool | None:
    """Whether a delivery that is owed repeats an earlier one; None when none is owed."""
    untold = last is None or last[1] == AlertStatus.CLOSED or last[2] == DeliveryState.DROPPED
    if alert.status == AlertStatus.CLOSED:
        return None if before != AlertStatus.OPEN or untold else False
    if not matches(route.matchers, labels):
        return None
    if before != AlertStatus.OPEN or last is None or untold:
        return False
    due = (
        route.repeat
        and now - last[3] >= route.repeat * MINUTE
        and last[2] not in (*WAITING, DeliveryState.SENDING)
    )
    return True if due else None


def alert_to_json(alert: Alert) -> str:
    """The JSON that is stored of an alert, in the shape of `POST /api/v1/alerts`."""
    return json.dumps(
        {**vars(alert), "labels": dict(alert.labels), "annotations": dict(alert.annotations)},
        ensure_ascii=False,
    )


def alert_from_json(body: str) -> Alert:
    """The alert of a stored JSON; a damaged row is an alert of which nothing is known."""
    return Alert.from_json(parse_or_none(body))
