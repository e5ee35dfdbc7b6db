"""The request of an attempt, written again with masked secrets; nothing is sent.

The body is the stored one if there is one: that is kept after an attempt that failed. Otherwise it
is built from the alert as it is now.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from delivery.alerts.alert import AlertStatus
from delivery.alerts.received import alert_from_json
from delivery.channel_test import Request, describe
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.guard.url import InvalidUrl
from delivery.message import MessageError, build_message
from delivery.secrets.encryption import DecryptionError, body_purpose, is_token
from delivery.sender import prepare
from delivery.settings import Settings, read_settings
from models import Attempt, Channel, ChannelVersion, Delivery, GroupMessage
from web.channels.comparison import secret_headers
from web.services import services

MAX_IN_MESSAGE = 50  # deliveries, of which the body of a group is built

NO_CONFIGURATION = "The configuration of the channel that made this attempt is not stored any more."
REBUILT = (
    "The body of a message that arrived is not kept: this one is built from what is stored now, "
    "and may differ from what was sent."
)


class SentRequest(NamedTuple):
    """The request of an attempt, or None; `note` says what is not as it was sent, or why."""

    attempt: Attempt
    request: Request | None
    note: str


def request_of(attempt: Attempt, deliveries: Sequence[Delivery]) -> SentRequest:
    """Return the request of an attempt at a message with these deliveries, each with its alert."""
    channel = _channel_at(attempt)
    if channel is None:
        return SentRequest(attempt, None, NO_CONFIGURATION)
    settings, problem = read_settings(channel, services().keyring)
    if problem:
        return SentRequest(attempt, None, problem)
    settings = _hide_later_secrets(settings, channel.id)
    body = _stored_body(attempt)
    try:
        message = build_message(_text(attempt, deliveries, settings), at=attempt.at, fixed=body)
        prepared = prepare(message, settings, attempt.number or 1, attempt.at / 1000)
    except (InvalidUrl, MessageError) as error:
        return SentRequest(attempt, None, str(error))
    note = ""
    if body is None and message.body:
        note = REBUILT
    return SentRequest(attempt, describe(message, settings, prepared), note)


def _channel_at(attempt: Attempt) -> Channel | None:
    """Return the channel as it was at an attempt, or None."""
    channel = Channel.find(attempt.__data__["channel"])
    if channel is None or channel.config_hash == attempt.config_hash:
        return channel
    if attempt.version is None:
        return None
    version = ChannelVersion.find(channel, attempt.version)
    if version is None or version.config_hash != attempt.config_hash:
        return None
    return version.as_channel()


def _hide_later_secrets(settings: Settings, channel_id: int) -> Settings:
    """Return settings in which every header is secret that is in any version of the channel."""
    lists = []
    for version in ChannelVersion.of(Channel(id=channel_id)):
        stored = read_settings(version.as_channel(), services().keyring)
        lists.append(stored.settings.headers)
    hidden = secret_headers(*lists)
    headers = []
    for header in settings.headers:
        headers.append(replace(header, secret=header.secret or header.name.lower() in hidden))
    return replace(settings, headers=tuple(headers))


def _stored_body(attempt: Attempt) -> str | None:
    """Return the body that is stored for the configuration of an attempt, or None."""
    message_id = attempt.__data__["message"]
    stored = Delivery if message_id is None else GroupMessage
    number = message_id or attempt.__data__["delivery"]
    row = stored.select(stored.body, stored.config_hash).where(stored.id == number).tuples().first()
    if row is None or row[0] is None or row[1] != attempt.config_hash:
        return None
    if not is_token(row[0]):
        return row[0]
    try:
        return str(services().keyring.decrypt(body_purpose(number), row[0]).get("body"))
    except DecryptionError:
        return None


def _text(attempt: Attempt, deliveries: Sequence[Delivery], settings: Settings) -> AlertText:
    number = attempt.__data__["message"] or attempt.__data__["delivery"]
    events = [_event(delivery, number) for delivery in deliveries]
    installation = services().installation
    if attempt.__data__["message"] is None:
        return AlertText(events[0], settings, installation)
    key = deliveries[0].group_key.partition("/")[0]
    return text_of_group(events, key, settings, installation)


def _event(delivery: Delivery, number: int) -> Event:
    alert = alert_from_json(delivery.alert.body)
    status = cast(AlertStatus, delivery.event)  # also one that is damaged
    alert = replace(alert, id=str(delivery.alert.id), status=status)
    return Event(
        alert,
        number,
        delivery.created_at,
        repeated=bool(delivery.repeated),
        opening=delivery.opening,
        flapping=bool(delivery.flapping),
    )
