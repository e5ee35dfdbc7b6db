"""An event of an alert, which a message reports."""

from dataclasses import dataclass

from delivery.alerts.alert import Alert

MAX_TIMESTAMP = 10**15


@dataclass(frozen=True)
class Event:
    """One opening, closing or repeat of an alert.

    `number` is the number of the delivery, `at` the time in milliseconds since the epoch.
    `notified` has the name and the labels of the alert in the last opening that arrived, or may
    have. `opening` tells the openings of an alert apart in the keys that vendors know it by; it is
    None for one that the channel knows by the key of an earlier version. `is_test` marks an event
    that no source sent, `flapping` an alert that changes too often for a message about each change,
    and `is_known` an open alert of a group that has not changed since the last message.
    """

    alert: Alert
    number: int
    at: int
    repeated: bool = False
    notified: Alert | None = None
    is_test: bool = False
    opening: int | None = None
    flapping: bool = False
    is_known: bool = False

    @property
    def name(self) -> str:
        """Uptrace's event name (its documentation says `state-changed`, its code sends this)."""
        if self.flapping:
            return "flapping"
        if self.repeated:
            return "recurring"
        return "status-changed" if self.alert.closed else "created"

    @property
    def message_id(self) -> str:
        """The `webhook-id`, the same at every attempt."""
        return f"msg_{self.number}"

    @property
    def started_at(self) -> int:
        """The start of the alert, or the time of the event if it is unknown."""
        return self.at if self.alert.starts_at is None else self.alert.starts_at

    @property
    def timestamp(self) -> int:
        """The time for signatures: never negative, and never thousands of digits long."""
        return min(max(self.at, 0), MAX_TIMESTAMP)
