"""Types of posted alerts and of Alertmanager's API, for the OpenAPI document.

The parsers in `delivery.alerts` judge what is posted; they say more than these types.
"""

from typing import Any, Literal

from msgspec import Struct

from web.api.schemas import DeliveryId, Time

Labels = dict[str, str]
_TIMES = {"starts_at": "startsAt", "ends_at": "endsAt", "updated_at": "updatedAt"}


class PostedAlert(Struct):
    """An alert. `key` identifies it, else its name and labels."""

    name: str | None = None
    key: str | None = None
    status: Literal["open", "closed", "firing", "resolved"] = "open"
    labels: Labels = {}
    annotations: Labels = {}
    starts_at: Time | None = None
    ends_at: Time | None = None
    url: str = ""


class StoredAlert(Struct, omit_defaults=True):
    """The id of a stored alert, and those of its new deliveries."""

    id: int
    deliveries: list[DeliveryId]
    note: str = ""


class StoredAlerts(Struct):
    """The stored alerts, in their order."""

    alerts: list[StoredAlert]


class PostedToAlertmanager(Struct, rename={"generator_url": "generatorURL", **_TIMES}):
    """An alert as clients of Alertmanager post it."""

    labels: Labels
    annotations: Labels = {}
    starts_at: Time | None = None
    ends_at: Time | None = None
    generator_url: str = ""


class Webhook(Struct):
    """The message of a webhook of version 4."""

    alerts: list[dict[str, Any]]


class UptraceWebhook(Struct):
    """The message of a webhook of Uptrace."""

    alert: dict[str, Any]


class Empty(Struct):
    """An empty object."""


class AlertmanagerQuery(Struct):
    """The parameters of lists of alerts."""

    filter: list[str] = []
    receiver: str | None = None
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    unprocessed: bool = True


class FilterQuery(Struct):
    """The parameter of the list of silences."""

    filter: list[str] = []


class Receiver(Struct):
    """A receiver: a channel."""

    name: str


class AlertmanagerState(Struct, rename="camel"):
    """The state of an alert."""

    state: Literal["active", "suppressed"]
    silenced_by: list[str]
    inhibited_by: list[str]
    muted_by: list[str]


class AlertmanagerAlert(Struct, rename={"generator_url": "generatorURL", **_TIMES}):
    """An open alert."""

    labels: Labels
    annotations: Labels
    starts_at: Time
    ends_at: Time
    updated_at: Time
    fingerprint: str
    receivers: list[Receiver]
    status: AlertmanagerState
    generator_url: str


class AlertmanagerGroup(Struct):
    """The alerts of a receiver with the same labels."""

    labels: Labels
    receiver: Receiver
    alerts: list[AlertmanagerAlert]


class AlertmanagerMatcher(Struct, rename="camel"):
    """A matcher of a silence."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class SilenceState(Struct):
    """The state of a silence."""

    state: Literal["active", "expired"]


class AlertmanagerSilence(Struct, rename="camel"):
    """A silence."""

    id: str
    status: SilenceState
    updated_at: Time
    matchers: list[AlertmanagerMatcher]
    starts_at: Time
    ends_at: Time
    created_by: str
    comment: str


class SilenceId(Struct, rename={"silence_id": "silenceID"}):
    """The id of a silence."""

    silence_id: str


class Liveness(Struct):
    """The health of the process."""

    status: str


class Readiness(Struct):
    """The health of the installation."""

    status: str
    worker_silent_seconds: float | None
    oldest_due_seconds: float
