"""Build the messages of claimed deliveries, under the crash marker."""

import contextlib
from dataclasses import dataclass, replace
from typing import NamedTuple

from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.installation import Installation
from delivery.message import Message, MessageError, build
from delivery.outbox import ClaimedDelivery, NewBody
from delivery.outcome import Outcome, Verdict
from delivery.queue.channel_cache import CachedChannel
from delivery.queue.crash_marker import CrashMarker
from delivery.redaction import mask_for
from delivery.secrets.encryption import DecryptionError, Keyring, body_purpose, is_token
from delivery.sender import Clock, unsent


class PreparedDelivery(NamedTuple):
    """A claimed delivery with its channel and message."""

    delivery: ClaimedDelivery
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

    def build(self, delivery: ClaimedDelivery, channel: CachedChannel) -> Message | Outcome:
        """Return the message of a delivery, or the outcome if it cannot be built.

        The crash marker names the delivery during the build, for the worker after a crash.
        """
        self.marker.record(delivery.id)
        try:
            if channel.problem:
                raise MessageError(channel.problem)
            event = Event(
                delivery.alert,
                delivery.id,
                delivery.created_at,
                repeated=bool(delivery.repeated),
                notified=delivery.notified_alert,
                opening=delivery.opening,
            )
            now = int(self.clock() * 1000)
            fixed = self._fixed_body(delivery, channel)
            return build(
                channel.settings, event, at=now, fixed=fixed, installation=self.installation
            )
        except Exception as error:  # noqa: BLE001 (no channel and no alert may end the worker)
            outcome = unsent(error, channel.settings, self.policy, self.clock)
            if channel.problem:  # a key that is missing may come back
                return replace(outcome, verdict=Verdict.RETRY)
            return outcome
        finally:
            self.marker.record(0)

    def new_bodies(self, prepared: list[PreparedDelivery]) -> list[NewBody]:
        """Return the bodies to store before the first attempt under a configuration.

        A body is encrypted if a secret of the channel is in it. Call this inside the transaction
        that stores the bodies, so that a rotation of the keys misses none.
        """
        bodies = []
        for delivery, channel, message in prepared:
            if self._fixed_body(delivery, channel) is None:
                body = message.body.decode("utf-8", "replace")
                if mask_for(channel.settings)(body) != body:
                    body = self.keyring.encrypt(body_purpose(delivery.id), {"body": body})
                bodies.append(NewBody(delivery.id, body, channel.config_hash))
        return bodies

    def _fixed_body(self, delivery: ClaimedDelivery, channel: CachedChannel) -> str | None:
        """Return the body of the earlier attempts.

        None without one that can be decrypted, and if the channel was edited since: nothing of an
        old configuration may leave.
        """
        if delivery.body is None or delivery.config_hash != channel.config_hash:
            return None
        if not is_token(delivery.body):
            return delivery.body
        with contextlib.suppress(DecryptionError):
            values = self.keyring.decrypt(body_purpose(delivery.id), delivery.body)
            return str(values.get("body"))
        return None
