"""The JSON of deliveries, alerts, silences, replays and versions, as the API shows them.

Times are RFC 3339 in UTC.
"""

from typing import Annotated

from msgspec import Meta, Struct

from delivery.alerts.alert import AlertStatus
from delivery.content.severity import Severity
from delivery.outbox import HeldChoice, ReplayChoice, WaitingChoice
from delivery.outcome import Reason
from models import DeliveryState, ReplayState
from web.api.paging import DEFAULT_LIMIT, MAX_LIMIT

Time = Annotated[str, Meta(description="RFC 3339", examples=["2026-03-02T09:15:00.120Z"])]
DeliveryId = Annotated[str, Meta(pattern="^msg_[0-9]+$", examples=["msg_1772442900120000000"])]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str, Meta(description="The value of “next” of the page before.")]
Span = Annotated[
    str, Meta(description="A time ago such as 2h or 7d, or a date, or RFC 3339.", examples=["2h"])
]


class Reference(Struct):
    """A row that another one belongs to."""

    id: int
    name: str


class DeliveryBody(Struct):
    """A delivery: one notification of an alert for one channel.

    `message` is the group message that it was sent in last. `explanation` says what happens next,
    the cause of the state, and the last result.
    """

    id: DeliveryId
    channel: Reference
    alert: Reference
    event: AlertStatus
    severity: Severity
    state: DeliveryState
    attempts: int
    cause: str
    explanation: str
    created_at: Time
    due_at: Time
    expires_at: Time
    ended_at: Time | None
    message: DeliveryId | None
    repeated: bool
    flapping: bool


class StageBody(Struct):
    """A step of an attempt."""

    name: str
    milliseconds: float
    detail: str
    ok: bool


class AttemptBody(Struct):
    """An attempt of a delivery, or of its group message; secrets are masked.

    `version` is that of the channel.
    """

    id: int
    at: Time
    number: int | None
    version: int | None
    verdict: str
    reason: str
    actor: str
    status: int | None
    milliseconds: int
    receiver: str
    says: str
    excerpt: str
    stages: list[StageBody]


class DeliveryDetail(DeliveryBody):
    """A delivery with its latest attempts, the oldest first, and a hint what to do."""

    hint: str
    tried: list[AttemptBody]


class AlertBody(Struct):
    """An alert in its current state; internal labels and annotations (`__…`) are left out."""

    id: int
    name: str
    status: AlertStatus
    severity: Severity
    labels: dict[str, str]
    annotations: dict[str, str]
    url: str
    value: str
    starts_at: Time | None
    ends_at: Time | None
    changed_at: Time
    seen_at: Time
    closes_at: Time | None


class NotifiedChannel(Struct):
    """Whether a channel was notified of an alert, and why."""

    channel: Reference
    notified: str
    concerned: bool
    text: str
    delivery: DeliveryId | None


class EventBody(Struct):
    """Something that happened to an alert, or to one of its deliveries."""

    at: Time
    text: str
    cause: str
    delivery: DeliveryId | None


class AlertDetail(AlertBody):
    """An alert with its channels, its latest deliveries, and what happened, the latest first."""

    channels: list[NotifiedChannel]
    deliveries: list[DeliveryBody]
    timeline: list[EventBody]
    silences: list[int]


class SilenceBody(Struct):
    """A silence. It is active until `until`."""

    id: int
    matchers: str
    reason: str
    made_by: str
    created_at: Time
    until: Time
    active: bool


class NewSilence(Struct, forbid_unknown_fields=True):
    """A silence that starts now, with the fields of the form."""

    matchers: Annotated[str, Meta(examples=['team=~"db|web"'])] = ""
    reason: Annotated[str, Meta(examples=["Moving the database"])] = ""
    hours: Annotated[float, Meta(description="From 0.1 to 8760.")] = 2


class VersionBody(Struct):
    """A version of a channel. `changes` are the fields that it changed, without secrets.

    They are null if it cannot be compared with an earlier version.
    """

    version: int
    at: Time
    made_by: str
    event: str
    problem: str
    changes: list["ChangeBody"] | None


class ChangeBody(Struct):
    """A field that a version changed, as pages show it."""

    field: str
    before: str
    after: str


class ReplayBody(Struct):
    """A replay: deliveries that are sent again.

    `counts` has the number of deliveries by result so far; `sent` of them are sent again.
    """

    id: int
    state: ReplayState
    choice: ReplayChoice
    filter: dict[str, str]
    made_by: str
    created_at: Time
    looked_at: int
    sent: int
    counts: dict[str, int]
    reached: Time | None


class Filter(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The filters of the list of deliveries."""

    state: str | None = None
    channel: int | str | None = None
    alert: int | str | None = None
    severity: Severity | None = None
    reason: Reason | None = None
    matchers: str | None = None
    q: str | None = None
    since: Span | None = None
    until: Span | None = None


class DeliveriesQuery(Filter):
    """The filters and the page of the list of deliveries."""

    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT


class AlertsQuery(Struct):
    """The filters and the page of the list of alerts."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    matchers: str | None = None
    q: str | None = None
    since: Span | None = None
    until: Span | None = None
    cursor: Cursor | None = None
    limit: Limit = DEFAULT_LIMIT


class NewReplay(Struct, forbid_unknown_fields=True):
    """Which deliveries are sent again, and how: at least one filter is needed."""

    filter: Filter
    choice: ReplayChoice = ReplayChoice.OPEN


class Snooze(Struct, forbid_unknown_fields=True):
    """For how long a delivery is snoozed."""

    minutes: Annotated[int, Meta(ge=1, le=720)] = 60


class Pause(Struct, forbid_unknown_fields=True):
    """What becomes of the openings while the channel is paused."""

    waiting: WaitingChoice = WaitingChoice.HOLD


class Resume(Struct, forbid_unknown_fields=True):
    """Which of the held deliveries are sent."""

    held: HeldChoice = HeldChoice.ALL


class Nothing(Struct, forbid_unknown_fields=True):
    """An action without choices has no body, or an empty object."""


class DeliveryPage(Struct):
    """A page of deliveries, the newest first. `next` is null at the end.

    A search of a large log may return fewer than `limit`, even none, and go on at `next`.
    """

    deliveries: list[DeliveryBody]
    next: str | None


class AlertPage(Struct):
    """A page of alerts, the latest change first. `next` is as in the list of deliveries."""

    alerts: list[AlertBody]
    next: str | None


class SilencePage(Struct):
    """A page of silences, the newest first. `next` is null at the end."""

    silences: list[SilenceBody]
    next: str | None


class ReplayPage(Struct):
    """A page of replays, the newest first. `next` is null at the end."""

    replays: list[ReplayBody]
    next: str | None


class VersionList(Struct):
    """The versions of a channel, the newest first."""

    versions: list[VersionBody]
