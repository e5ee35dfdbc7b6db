"""An event of an alert, as a message tells it."""

from dataclasses import dataclass

from delivery.alerts.alert import Alert


@dataclass(frozen=True)
class Event:
    """What a message tells: an alert, the number of its delivery, the time (epoch milliseconds), whether it is a repeat."""

    alert: Alert
    number: int
    at: int
    repeated: bool = False

    @property
    def stamp(self) -> int:
        """The time as signatures name it: no negative number, and none of thousands of digits."""
        return min(max(self.at, 0), 10**15)
