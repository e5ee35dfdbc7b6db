"""Received alerts: how one changes the alert that is stored, and the JSON of that."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from clock import MINUTE
from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.matchers import labels_of
from delivery.alerts.plans import ActiveSilence
from delivery.content.severity import urgency_of
from delivery.json_text import parse_or_none

STALE_WINDOW = 15 * MINUTE
NO_CHANNEL = "No channel matches this alert."
_RARE_MEMBERS = ("links", "value")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_encode_sorted = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
TOO_LATE = "This opening came after its resolution, so it changed nothing."


class ReceivedAlert(NamedTuple):
    """A received alert, the hash of its identity, and when it closes unless sent again.

    After a closing that `resolves` it, an opening with the same start comes too late. A closing by
    Tocsin or a user does not, nor one from a source whose alerts keep their start.
    """

    key: str
    alert: Alert
    closes_at: int | None = None
    resolves: bool = True


class IngestResult(NamedTuple):
    """The id of a stored alert, and the `webhook-id`s of its new deliveries.

    `note` says why an open alert notifies nobody.
    """

    id: int
    deliveries: tuple[str, ...]
    note: str = ""


@dataclass
class AlertChange:
    """An alert, the ids of the channels that match it, and whether it was open before.

    `labels` are those for matching, and `silence` stops the openings of the alert. An alert that is
    only reviewed was not `received` from its source. `earlier_body` is its stored JSON before the
    change. `turns` says that the alert opens or closes.
    """

    id: int
    alert: Alert
    labels: dict[str, str]
    matched: Collection[int]
    silence: ActiveSilence | None
    was_open: bool
    received: bool = True
    earlier_body: str = ""

    def __post_init__(self) -> None:
        self.is_open = not self.alert.closed
        self.turns = self.was_open != self.is_open

    @cached_property
    def urgency(self) -> int:
        """The place of the alert in the order of sending: 0 for the first ones."""
        return urgency_of(self.labels)

    def is_relabeled(self, names: Collection[str]) -> bool:
        """Return True if one of these labels of an alert that stays open has another value."""
        if not (self.was_open and self.is_open and self.earlier_body):
            return False
        return any(self._earlier_labels.get(name) != self.labels.get(name) for name in names)

    @cached_property
    def _earlier_labels(self) -> dict[str, str]:
        return labels_of(alert_from_json(self.earlier_body))

    @cached_property
    def snapshot(self) -> str:
        """The JSON that identifies the alert in messages."""
        return snapshot_of(self.alert)


def merge_alert(alert: Alert, stored_body: str, now: int) -> Alert:
    """Return the received alert, completed with its times and its stored details."""
    if alert.status == AlertStatus.CLOSED:
        return _merge_closing(alert, alert_from_json(stored_body), now)
    if stored_body and not alert.starts_at:
        stored = alert_from_json(stored_body)
        if stored.status == AlertStatus.OPEN:  # an alert that stays open keeps its start
            now = stored.starts_at or now
    if alert.starts_at and alert.ends_at is None:
        return alert
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
        links=alert.links or stored.links,
        value=alert.value or stored.value,
        starts_at=_start_of_closing(alert, stored, ends_at) or ends_at or now,
        ends_at=ends_at or now,
    )


def _start_of_closing(alert: Alert, stored: Alert, ends_at: int | None) -> int | None:
    """Return the start that a closing states, or the stored one if it states none.

    Grafana states the end as the start, too: an earlier start of the same alert is the real one.
    """
    if alert.starts_at is None or stored.starts_at is None:
        return alert.starts_at or stored.starts_at
    is_same = stored.status == AlertStatus.OPEN or stored.ends_at == ends_at
    if is_same and alert.starts_at == ends_at:
        return min(alert.starts_at, stored.starts_at)
    return alert.starts_at


def is_stale(alert: Alert, resolved_start: int | None, closed_at: int, now: int) -> bool:
    """Return True for an opening that its source sent before a resolution that came first.

    It has the start of the alert that was resolved (or an earlier one), and comes soon after. A
    source that goes on sending it means it.
    """
    if resolved_start is None or alert.starts_at is None or alert.closed:
        return False
    return alert.starts_at <= resolved_start and now - closed_at < STALE_WINDOW


def alert_to_json(alert: Alert) -> str:
    """Return the stored JSON of an alert, in the shape of `POST /api/v1/alerts`.

    The members that only some sources have are left out when they are empty.
    """
    members = {**vars(alert)}
    if not alert.links and not alert.value:
        for name in _RARE_MEMBERS:
            del members[name]
    return _encode(members)


# A received alert is merged with the stored one, and compared with it.
@lru_cache(maxsize=256)
def alert_from_json(body: str) -> Alert:
    """Return the alert of a stored JSON; an empty alert if that is damaged."""
    return Alert.from_json(parse_or_none(body))


def snapshot_of(alert: Alert) -> str:
    """Return the JSON of an alert's name and labels, which identify it for some receivers."""
    return _encode_sorted({"name": alert.name, "labels": dict(alert.labels)})
