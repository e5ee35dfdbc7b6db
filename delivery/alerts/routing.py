"""Decide which channels an alert is delivered to. Pure: no clock and no database."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from clock import DAY, MINUTE
from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.matchers import Matcher, matches
from delivery.json_text import parse_or_none
from models import ChannelState, DeliveryState

DELIVERY_LIFETIME = DAY
PROBE_INTERVAL = 10 * MINUTE
WAITING_STATES = (DeliveryState.PENDING, DeliveryState.HELD)

CHANNEL_NOT_DELIVERING = "The channel is not delivering: held until it does."
SUPERSEDED_BY: dict[str, str] = {
    AlertStatus.CLOSED: "The alert closed before this was delivered: the closing is sent instead.",
    AlertStatus.OPEN: "The alert opened again before this was delivered: that is sent instead.",
}


class ReceivedAlert(NamedTuple):
    """A received alert, the hash of its identity, and when it closes unless sent again."""

    key: str
    alert: Alert
    closes_at: int | None = None


class IngestResult(NamedTuple):
    """The id of a stored alert, and the `webhook-id`s of its new deliveries."""

    id: int
    deliveries: tuple[str, ...]


class ChannelRoute(NamedTuple):
    """A channel's matchers and repeat interval (0: never)."""

    matchers: tuple[Matcher, ...]
    channel_id: int
    state: str
    repeat_minutes: int


class ActiveSilence(NamedTuple):
    """A silence: its matchers, and the cause that its dropped deliveries state."""

    matchers: tuple[Matcher, ...]
    cause: str


class AlertChange(NamedTuple):
    """A received alert, its labels for matching, and whether it was open and is open now."""

    id: int
    alert: Alert
    labels: dict[str, str]
    was_open: bool
    is_open: bool


@dataclass
class LastDelivery:
    """The last delivery of an alert to a channel."""

    event: str
    state: str
    created_at: int

    @property
    def is_opening(self) -> bool:
        """Return True for the delivery of an opening, unless a silence dropped it."""
        return self.event == AlertStatus.OPEN and self.state != DeliveryState.DROPPED


@dataclass(kw_only=True)
class NewDelivery(LastDelivery):
    """The columns of a new delivery, and whether it supersedes older ones that wait."""

    id: int
    channel_id: int
    alert_id: int
    repeated: int = 0
    due_at: int
    expires_at: int
    cause: str = ""
    supersedes: bool = False


@dataclass
class RoutingContext:
    """What decides about the alerts of one transaction.

    `last_deliveries` is keyed by alert id and channel id. `delivery_ids` are the next free ones.
    """

    now: int
    routes: list[ChannelRoute]
    silences: list[ActiveSilence]
    last_deliveries: dict[tuple[int, int], LastDelivery]
    delivery_ids: Iterator[int]


def merge_alert(alert: Alert, stored_body: str, now: int) -> Alert:
    """Return the received alert, completed with its times and its stored details."""
    if alert.status == AlertStatus.CLOSED:
        return _merge_closing(alert, alert_from_json(stored_body), now)
    if stored_body and not alert.starts_at:
        stored = alert_from_json(stored_body)
        if stored.status == AlertStatus.OPEN:  # an alert that stays open keeps its start
            now = stored.starts_at or now
    return replace(alert, starts_at=alert.starts_at or now, ends_at=None)


def _merge_closing(alert: Alert, stored: Alert, now: int) -> Alert:
    """Return a closing, with the details of the opening that it does not state."""
    ends_at = alert.ends_at
    if stored.status == AlertStatus.CLOSED:
        ends_at = ends_at or stored.ends_at
    return replace(
        alert,
        labels=alert.labels or stored.labels,
        annotations=alert.annotations or stored.annotations,
        url=alert.url or stored.url,
        starts_at=alert.starts_at or stored.starts_at or ends_at or now,
        ends_at=ends_at or now,
    )


def plan_deliveries(change: AlertChange, context: RoutingContext) -> list[NewDelivery]:
    """Return the deliveries that a received alert makes due."""
    deliveries = []
    silence = _find_silence(change, context.silences)
    for route in context.routes:
        last = context.last_deliveries.get((change.id, route.channel_id))
        if not _is_due(change, route, last, context.now):
            continue
        if silence and last and change.was_open:
            continue
        delivery = _new_delivery(change, route, context)
        if last:
            delivery.repeated = int(change.was_open and change.is_open and last.is_opening)
            delivery.supersedes = last.state in WAITING_STATES and not silence
        if silence:
            delivery.state = DeliveryState.DROPPED
            delivery.cause = silence.cause
        deliveries.append(delivery)
    return deliveries


def _find_silence(change: AlertChange, silences: list[ActiveSilence]) -> ActiveSilence | None:
    for silence in silences:
        if change.is_open and matches(silence.matchers, change.labels):
            return silence
    return None


def _is_due(change: AlertChange, route: ChannelRoute, last: LastDelivery | None, now: int) -> bool:
    has_opening = last is not None and last.is_opening and change.was_open
    if not change.is_open:
        return has_opening
    if not matches(route.matchers, change.labels):
        return False
    if last is None or not has_opening:
        return True
    is_over = last.state not in (*WAITING_STATES, DeliveryState.SENDING)
    interval = route.repeat_minutes * MINUTE
    return is_over and interval > 0 and now - last.created_at >= interval


def _new_delivery(change: AlertChange, route: ChannelRoute, context: RoutingContext) -> NewDelivery:
    delivery = NewDelivery(
        change.alert.status,
        DeliveryState.PENDING,
        context.now,
        id=next(context.delivery_ids),
        channel_id=route.channel_id,
        alert_id=change.id,
        due_at=context.now,
        expires_at=context.now + DELIVERY_LIFETIME,
    )
    if route.state != ChannelState.DELIVERING:
        delivery.state = DeliveryState.HELD
        delivery.cause = CHANNEL_NOT_DELIVERING
    if route.state == ChannelState.FAILING:
        delivery.due_at += PROBE_INTERVAL
    return delivery


def alert_to_json(alert: Alert) -> str:
    """Return the stored JSON of an alert, in the shape of `POST /api/v1/alerts`."""
    return json.dumps(vars(alert), ensure_ascii=False)


def alert_from_json(body: str) -> Alert:
    """Return the alert of a stored JSON; an empty alert if that is damaged."""
    return Alert.from_json(parse_or_none(body))
