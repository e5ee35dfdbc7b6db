"""What happened to an alert, from its deliveries: opened, sent to whom, silenced, closed. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, cast

from delivery.alerts.alert import Alert, AlertStatus
from models import Alert as AlertRow
from models import Delivery, DeliveryState

_ENDINGS = {
    DeliveryState.DELIVERED: "delivered to",
    DeliveryState.ACCEPTED: "queued by the receiver of",
    DeliveryState.FAILED: "failed for",
    DeliveryState.PARKED: "set aside for",
    DeliveryState.GIVEN_UP: "canceled for",
    DeliveryState.DROPPED: "not sent to",
    DeliveryState.SUPERSEDED: "no longer sent to",
}
_WITH_CAUSE = (
    DeliveryState.FAILED,
    DeliveryState.PARKED,
    DeliveryState.GIVEN_UP,
    DeliveryState.DROPPED,
    DeliveryState.SUPERSEDED,
)


class Entry(NamedTuple):
    """Something that happened at a time: to the alert, or to one of its deliveries.

    `mark` is the state or the status by which the entry looks.
    """

    at: int
    mark: str
    text: str
    delivery: Delivery | None = None
    cause: str = ""


def timeline(row: AlertRow, alert: Alert, deliveries: Sequence[Delivery]) -> list[Entry]:
    """Return what happened to an alert, the latest first; `deliveries` are the latest ones."""
    change = "Opened" if row.status == AlertStatus.OPEN else "Closed"
    entries = [*_endings(deliveries), *_messages(deliveries)]
    entries.append(Entry(row.changed_at, row.status, change))
    if alert.starts_at is not None and alert.starts_at < row.changed_at:
        entries.append(Entry(alert.starts_at, "", "Started, as its source says"))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _messages(deliveries: Iterable[Delivery]) -> Iterable[Entry]:
    """Yield when messages were planned, those of one time and one event together."""

    def change_of(delivery: Delivery) -> tuple[int, str, int, int]:
        return delivery.created_at, delivery.event, delivery.repeated, delivery.flapping

    for change, group in groupby(sorted(deliveries, key=change_of), key=change_of):
        at, event, repeated, flapping = change
        number = len(list(group))
        channels = "1 channel" if number == 1 else f"{number} channels"
        yield Entry(at, "", f"{_subject(event, repeated, flapping)} planned for {channels}")


def _subject(event: str, repeated: int, flapping: int) -> str:
    if flapping:
        return "Report that it is flapping"
    if repeated:
        return "Repeat"
    return "Resolution" if event == AlertStatus.CLOSED else "Message"


def _endings(deliveries: Iterable[Delivery]) -> Iterable[Entry]:
    for delivery in deliveries:
        ending = _ENDINGS.get(cast(DeliveryState, delivery.state))
        if ending is None or delivery.settled_at is None:
            continue
        subject = "Resolution" if delivery.event == AlertStatus.CLOSED else "Message"
        cause = delivery.cause if delivery.state in _WITH_CAUSE else ""
        yield Entry(delivery.settled_at, delivery.state, f"{subject} {ending}", delivery, cause)
