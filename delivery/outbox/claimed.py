"""What the worker sends now: claimed deliveries, and the messages that they make."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from delivery.alerts.alert import Alert, AlertStatus
from delivery.alerts.received import alert_from_json
from delivery.json_text import parse_or_none


class ClaimedDelivery(NamedTuple):
    """A delivery that the worker sends now.

    `attempt` is the number of this attempt. `body` is that of the earlier attempts, if the channel
    still has their configuration; `config_hash` is its configuration at the claim. `retries` counts
    the steps of the schedule that were taken, `not_found` the retries after 404. `notified` is the
    snapshot of the opening that the channel was notified of, `matchers` are the channel's. The
    `opening` is that one's: vendors keep the key of an alert until a resolution arrives. Otherwise
    it is when the alert opened. `message_id` is the last group message that it was sent in.
    """

    id: int
    channel_id: int
    attempt: int
    repeated: int
    created_at: int
    expires_at: int
    body: str | None
    config_hash: str
    crashes: int
    retries: int
    not_found: int
    event: str
    alert_id: int
    alert_body: str
    notified: str | None
    matchers: str
    opening: int | None = None
    group_key: str = ""
    message_id: int | None = None
    flapping: int = 0
    alert_key: str = ""

    @property
    def alert(self) -> Alert:
        """The alert, with the status of the delivery's event."""
        return _read_alert(self.alert_body, self.alert_id, self.event)

    @property
    def notified_alert(self) -> Alert | None:
        """The name and the labels that the channel knows the alert by; None before an opening."""
        return None if self.notified is None else alert_from_json(self.notified)


# The alerts of one claim, each of which is read at the claim and again when its message is built.
@lru_cache(maxsize=256)
def _read_alert(body: str, alert_id: int, status: str) -> Alert:
    """Return the alert of a stored JSON, with its id and this status."""
    stored = parse_or_none(body)
    members = stored if isinstance(stored, dict) else {}
    return Alert.from_json({**members, "id": str(alert_id), "status": status})


class KnownAlert(NamedTuple):
    """An open alert of a group that the channel was notified of, and that has not changed.

    `notified` is the snapshot of the opening, `opening` the one in the key that vendors know.
    """

    alert_id: int
    alert_body: str
    notified: str | None
    opening: int | None

    @property
    def alert(self) -> Alert:
        """The alert."""
        return _read_alert(self.alert_body, self.alert_id, AlertStatus.OPEN)

    @property
    def notified_alert(self) -> Alert | None:
        """The name and the labels that the channel knows the alert by."""
        return None if self.notified is None else alert_from_json(self.notified)


@dataclass(frozen=True)
class ClaimedMessage:
    """A message that the worker sends now: one delivery, or those of a group.

    `id` is the number in the `webhook-id`: that of the delivery, or the group message's own.
    `attempt` counts the attempts under this id. `body` is as in `ClaimedDelivery`. `known` are the
    other open alerts of the group, and `unlisted` is how many there are beyond these.
    """

    id: int
    attempt: int
    created_at: int
    deliveries: tuple[ClaimedDelivery, ...]
    group_key: str = ""
    known: tuple[KnownAlert, ...] = ()
    unlisted: int = 0
    body: str | None = None
    content: str = ""

    @classmethod
    def alone(cls, delivery: ClaimedDelivery) -> "ClaimedMessage":
        """Return the message of one delivery."""
        return cls(
            delivery.id, delivery.attempt, delivery.created_at, (delivery,), body=delivery.body
        )

    @property
    def group_id(self) -> int | None:
        """The id of a group message, None for a delivery alone."""
        return self.id if self.group_key else None

    @property
    def first(self) -> ClaimedDelivery:
        """The most urgent delivery."""
        return self.deliveries[0]

    @property
    def channel_id(self) -> int:
        """The id of the channel."""
        return self.first.channel_id

    @property
    def config_hash(self) -> str:
        """The channel's configuration at the claim."""
        return self.first.config_hash

    @property
    def is_suspect(self) -> bool:
        """Whether it may have crashed a worker."""
        return self.first.crashes > 0

    def moved(self, jump: int) -> "ClaimedMessage":
        """Return the message after a jump of the clock by so many milliseconds."""
        moved = [one._replace(expires_at=one.expires_at + jump) for one in self.deliveries]
        return replace(self, deliveries=tuple(moved))
