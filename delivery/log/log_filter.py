"""What the deliveries, or the alerts, of a list have in common. Pure."""

import json
from dataclasses import dataclass

from delivery.alerts.alert import Alert
from delivery.alerts.matchers import labels_of, matches, parse_matchers
from delivery.content.severity import Severity, severity_rank
from models import DeliveryState

WAITING = "waiting"
PROBLEMS = "problems"
ARRIVED = "arrived"
STATE_FILTERS = {
    WAITING: (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD),
    PROBLEMS: (DeliveryState.FAILED, DeliveryState.PARKED),
    ARRIVED: (DeliveryState.DELIVERED, DeliveryState.ACCEPTED),
    **{state.value: (state,) for state in DeliveryState},
}


@dataclass(frozen=True)
class LogFilter:
    """What the listed deliveries or alerts have in common.

    `matchers` are as they were typed, and valid; `text` is in lower case. `since` and `until` are
    milliseconds, or None.
    """

    states: tuple[DeliveryState, ...] = ()
    channel: int = 0
    alert: int = 0
    severity: Severity | None = None
    reason: str = ""
    matchers: str = ""
    text: str = ""
    since: int | None = None
    until: int | None = None

    def to_json(self) -> str:
        """Return the filter as JSON."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "LogFilter":
        """Return the filter that `to_json` wrote.

        Raises: ValueError, TypeError or KeyError if it is damaged, or of a version that had other
        filters.
        """
        members = json.loads(text)
        members["states"] = tuple(map(DeliveryState, members["states"]))
        if members["severity"]:
            members["severity"] = Severity(members["severity"])
        parse_matchers(members["matchers"])
        return cls(**members)

    @property
    def reads_rows(self) -> bool:
        """Whether no index finds the rows: each one has to be read."""
        return bool(self.severity or self.reason or self.reads_alerts)

    @property
    def reads_alerts(self) -> bool:
        """Whether the labels and texts of alerts decide."""
        return bool(self.matchers or self.text)

    @property
    def urgency(self) -> int:
        """The rank of the severity; -1 for any."""
        if self.severity is None:
            return -1
        return severity_rank(self.severity)

    def accepts(self, alert: Alert, *texts: str) -> bool:
        """Return True if the matchers match an alert, and it or one of `texts` has the text."""
        matchers = parse_matchers(self.matchers)
        if matchers and not matches(matchers, labels_of(alert)):
            return False
        if not self.text:
            return True
        parts = (alert.name, *alert.labels.values(), *alert.annotations.values(), *texts)
        return any(self.text in part.casefold() for part in parts)
