"""What the API answers of a channel, for the OpenAPI document."""

from typing import Any, NotRequired, TypedDict

from delivery.health import Health
from models import ChannelState, Proof
from web.api.channel_schema import HeaderBody
from web.api.schemas import Time


class Trouble(TypedDict):
    """Since when no attempt has succeeded, and why the latest one failed."""

    since: Time
    text: str


class _Configuration(TypedDict):
    name: str
    kind: str
    url: str
    method: str
    headers: list[HeaderBody]
    auth: str
    auth_username: str
    signing: str
    signing_timestamp_header: str
    payload: str
    body: str
    options: dict[str, str]
    timeout: int
    verify_tls: bool
    ca_pem: str
    matchers: str
    group_by: str
    group_wait: int | None
    separate: bool
    fallback: int | None
    retries: str
    repeat: int | None
    drill: int | None
    version: int
    secrets: list[str]


class ChannelAnswer(_Configuration):
    """A channel without secrets, with a shortened URL.

    If a file provisions it, `provisioned` is that file, and only the file changes the channel.
    """

    id: int
    state: ChannelState
    proof: Proof
    health: Health
    trouble: Trouble | None
    origin: str
    provisioned: str | None
    created_at: Time
    updated_at: Time
    problem: NotRequired[str]


class VersionAnswer(_Configuration):
    """A channel as it was at a version, without secrets."""

    at: Time
    made_by: str
    event: str


class ChannelList(TypedDict):
    """Every channel, ordered by name."""

    channels: list[ChannelAnswer]


class OutcomeAnswer(TypedDict):
    """The outcome of one message."""

    verdict: str
    reason: str
    actor: str
    status: int | None
    receiver: str
    excerpt: str
    says: str
    hint: str
    milliseconds: float
    retry_after: float | None
    stages: list[dict[str, Any]]


class TestAnswer(OutcomeAnswer):
    """The result of a test. `closing` is the outcome of the message that closes its alert."""

    note: str
    closing: OutcomeAnswer | None
    unstored: str
