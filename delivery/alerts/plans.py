"""What the routing of an alert reads and returns: routes, last deliveries, and plans."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from clock import DAY
from delivery.alerts.alert import AlertStatus
from delivery.alerts.matchers import Matcher
from models import DeliveryState

DELIVERY_LIFETIME = DAY
WAITING_STATES = (DeliveryState.PENDING, DeliveryState.HELD)
ACTIVE_STATES = (*WAITING_STATES, DeliveryState.SENDING)
NOT_ARRIVED_STATES = (DeliveryState.FAILED, DeliveryState.GIVEN_UP, DeliveryState.PARKED)


class ChannelRoute(NamedTuple):
    """What of a channel decides.

    Its matchers, its repeat interval (0: never), the labels that it groups by, how many seconds a
    group waits, whether openings are dropped, and its retry schedule.
    """

    matchers: tuple[Matcher, ...]
    repeat_minutes: int
    group_by: tuple[str, ...]
    group_wait: int
    drops: bool
    channel_id: int
    state: str
    config_hash: str
    retries: str
    fallback_id: int | None = None


class ActiveSilence(NamedTuple):
    """A silence: its matchers, its end, and the cause that its dropped deliveries state."""

    matchers: tuple[Matcher, ...]
    id: int
    until: int
    cause: str


@dataclass(kw_only=True)
class LastDelivery:
    """The last delivery of an alert to a channel, and whether the channel was notified.

    `snapshot` is what the message states, once it is built. `is_notified` says that an opening
    arrived, or may have, and no closing since; `is_under_way` that an opening is being sent.
    `is_silenced` says that a silence stopped what was due after it. `failures` counts the openings
    in a row before this one that did not arrive. `group_key` is the group of the alert. `changes`
    are the times of its last changes, and `is_flapping` says that these were too many.
    """

    event: str
    state: str
    created_at: int
    settled_at: int | None = None
    config_hash: str = ""
    snapshot: str | None = None
    is_notified: bool = False
    is_under_way: bool = False
    is_silenced: bool = False
    failures: int = 0
    group_key: str = ""
    changes: tuple[int, ...] = ()
    is_flapping: bool = False

    @property
    def is_opening(self) -> bool:
        """Return True for the delivery of an opening."""
        return self.event == AlertStatus.OPEN


@dataclass(kw_only=True)
class NewDelivery(LastDelivery):
    """The columns of a new delivery."""

    id: int
    channel_id: int
    alert_id: int
    repeated: int = 0
    due_at: int
    expires_at: int
    cause: str = ""
    urgency: int = 0
    flapping: int = 0


@dataclass(kw_only=True)
class ChannelPlan:
    """What follows for one channel.

    `supersede` is the cause for older deliveries that wait; they stay if it is empty. At
    `review_at`, the alert is planned again for the channel, unless the plan `keeps_review`.
    `changes` are the times of the last changes of the alert; None leaves them, and whether the
    alert is flapping, as they are.
    """

    channel_id: int
    delivery: NewDelivery | None = None
    supersede: str = ""
    review_at: int | None = None
    silence_id: int | None = None
    keeps_review: bool = False
    changes: tuple[int, ...] | None = None
    is_flapping: bool = False


@dataclass
class RoutingContext:
    """What decides about the alerts of one transaction.

    `last_deliveries` is keyed by alert id and channel id. `delivery_ids` are the next free ones.
    `group_due_at` returns when the first message of a group is due that waits for others (None
    without one); it takes the id of the channel and the key of the group.
    """

    now: int
    routes: list[ChannelRoute]
    last_deliveries: dict[tuple[int, int], LastDelivery]
    delivery_ids: Iterator[int]
    group_due_at: Callable[[int, str], int | None]
