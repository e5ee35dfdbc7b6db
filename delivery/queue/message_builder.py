"""Build the messages that are sent, under the crash marker."""

import contextlib
from dataclasses import dataclass, replace
from typing import NamedTuple

from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.installation import Installation
from delivery.message import Message, MessageError, build_message
from delivery.outbox import ClaimedDelivery, ClaimedMessage, KnownAlert, NewBody
from delivery.outcome import Outcome, Verdict
from delivery.queue.channel_cache import CachedChannel
from delivery.queue.crash_marker import CrashMarker
from delivery.redaction import mask_for
from delivery.secrets.encryption import DecryptionError, Keyring, body_purpose, is_token
from delivery.sender import Clock, unsent
from delivery.settings import Settings


class PreparedMessage(NamedTuple):
    """A claimed message with its channel, and as it is sent."""

    claimed: ClaimedMessage
    channel: CachedChannel
    message: Message


@dataclass
class MessageBuilder:
    """Builds messages, and encrypts the bodies that are stored with a secret in them."""

    keyring: Keyring
    policy: Policy
    marker: CrashMarker
    clock: Clock
    installation: Installation

    def build(self, claimed: ClaimedMessage, channel: CachedChannel) -> Message | Outcome:
        """Return the message as it is sent, or the outcome if it cannot be built.

        The crash marker names the message during the build, for the worker after a crash.
        """
        self.marker.record(claimed.id)
        try:
            if channel.problem:
                raise MessageError(channel.problem)
            return build_message(
                self._text_of(claimed, channel.settings),
                at=int(self.clock() * 1000),
                fixed=self._fixed_body(claimed, channel),
            )
        except Exception as error:  # noqa: BLE001 (no channel and no alert may end the worker)
            outcome = unsent(error, channel.settings, self.policy, self.clock)
            if channel.problem:  # a key that is missing may come back
                return replace(outcome, verdict=Verdict.RETRY)
            return outcome
        finally:
            self.marker.record(0)

    def _text_of(self, claimed: ClaimedMessage, settings: Settings) -> AlertText:
        events = events_of(claimed)
        if claimed.group_key:
            key = claimed.group_key
            return text_of_group(events, key, settings, self.installation, claimed.unlisted)
        return AlertText(events[0], settings, self.installation)

    def new_bodies(self, prepared: list[PreparedMessage]) -> list[NewBody]:
        """Return the bodies to store after the first attempt under a configuration.

        A body is encrypted if a secret of the channel is in it. Call this inside the transaction
        that stores the bodies, so that a rotation of the keys misses none.
        """
        bodies = []
        for claimed, channel, message in prepared:
            if self._fixed_body(claimed, channel) is None:
                body = message.body.decode("utf-8", "replace")
                if mask_for(channel.settings)(body) != body:
                    body = self.keyring.encrypt(body_purpose(claimed.id), {"body": body})
                is_group = bool(claimed.group_key)
                bodies.append(NewBody(claimed.id, body, channel.config_hash, is_group))
        return bodies

    def _fixed_body(self, claimed: ClaimedMessage, channel: CachedChannel) -> str | None:
        """Return the body of the earlier attempts.

        None without one that can be decrypted, and if the channel was edited since: nothing of an
        old configuration may leave.
        """
        if claimed.body is None or claimed.config_hash != channel.config_hash:
            return None
        if not is_token(claimed.body):
            return claimed.body
        with contextlib.suppress(DecryptionError):
            values = self.keyring.decrypt(body_purpose(claimed.id), claimed.body)
            return str(values.get("body"))
        return None


def events_of(claimed: ClaimedMessage) -> list[Event]:
    """Return the events that a message reports, and the open alerts that are known already."""
    events = []
    for delivery in claimed.deliveries:
        flags = {"repeated": bool(delivery.repeated), "flapping": bool(delivery.flapping)}
        events.append(_event(claimed, delivery, **flags))
    events += [_event(claimed, known, repeated=True, is_known=True) for known in claimed.known]
    return events


def _event(claimed: ClaimedMessage, one: ClaimedDelivery | KnownAlert, **flags: bool) -> Event:
    return Event(
        one.alert,
        claimed.id,
        claimed.created_at,
        notified=one.notified_alert,
        opening=one.opening,
        **flags,
    )
