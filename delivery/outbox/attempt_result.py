"""The result of an attempt for one delivery."""

from dataclasses import dataclass

from delivery.alerts.alert import AlertStatus
from delivery.outcome import Outcome
from models import DeliveryState


@dataclass(frozen=True)
class DrillResult:
    """The outcome of a fire drill under a configuration of its channel.

    The next drill but for failures is at a multiple of its interval after `planned_at`.
    """

    channel_id: int
    planned_at: int
    config_hash: str
    version: int
    started_at: int
    outcome: Outcome


@dataclass(frozen=True)
class AttemptResult:
    """The outcome of an attempt, and the next state of a delivery in its message.

    `version` is that of the channel. `number` counts the attempts of the delivery,
    `message_attempt` those of the message. A group message has a `message_id`, and results of
    several deliveries. `retries` and `not_found` are the delivery's new counts. An `is_probe` was
    sent to a failing channel. A `group_key` replaces that of the delivery. `waits_since` is when
    the delivery became due, first or after a pause or a redelivery.
    """

    delivery_id: int
    channel_id: int
    event: str
    number: int
    config_hash: str
    version: int
    started_at: int
    outcome: Outcome
    state: DeliveryState
    due_at: int
    cause: str
    retries: int
    not_found: int
    is_probe: bool
    message_id: int | None = None
    message_attempt: int = 1
    group_key: str | None = None
    waits_since: int = 0

    @property
    def exchange(self) -> int:
        """The id of the message, which is the same for all results of one exchange."""
        return self.message_id or self.delivery_id

    @property
    def notifies(self) -> bool:
        """Return True if the channel may know by this attempt that the alert is open."""
        return self.event == AlertStatus.OPEN and self.outcome.may_have_arrived

    @property
    def ends(self) -> bool:
        """Return True if the channel knows by this attempt that the alert is closed."""
        return self.event == AlertStatus.CLOSED and self.outcome.good
