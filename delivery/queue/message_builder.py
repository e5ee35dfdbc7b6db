"""Build the messages of claimed deliveries, under the crash marker."""

import contextlib
from dataclasses import dataclass, replace
from typing import NamedTuple

from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.message import Message, MessageError, build
from delivery.outbox import ClaimedDelivery
from delivery.outcome import Outcome, Verdict
from delivery.queue.channel_cache import CachedChannel
from delivery.queue.worker_lock import CrashMarker
from delivery.redaction import mask_for
from delivery.secrets.encryption import DecryptionError, Keyring
from delivery.sender import Clock, unsent

_ENCRYPTED = "gAAAA"  # how every Fernet token begins, and no JSON


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

    def build(self, delivery: ClaimedDelivery, channel: CachedChannel) -> Message | Outcome:
        """Return the message of a delivery, or the outcome if it cannot be built.

        The crash marker names the delivery during the build, for the worker after a crash.
        """
        self.marker.record(delivery.id)
        try:
            if channel.problem:
                raise MessageError(channel.problem)
            repeated = bool(delivery.repeated)
            event = Event(delivery.alert, delivery.id, delivery.created_at, repeated)
            now = int(self.clock() * 1000)
            return build(channel.settings, event, at=now, fixed=self._first_body(delivery))
        except Exception as error:  # noqa: BLE001 (no channel and no alert may end the worker)
            outcome = unsent(error, channel.settings, self.policy, self.clock)
            if channel.problem:  # a key that is missing may come back
                return replace(outcome, verdict=Verdict.RETRY)
            return outcome
        finally:
            self.marker.record(0)

    def new_bodies(self, prepared: list[PreparedDelivery]) -> dict[int, str]:
        """Return the bodies to store before a first attempt, by delivery id.

        A body is encrypted if a secret of the channel is in it.
        """
        bodies = {}
        for delivery, channel, message in prepared:
            if delivery.body is None:
                body = message.body.decode("utf-8", "replace")
                if mask_for(channel.settings)(body) != body:
                    body = self.keyring.encrypt(f"body {delivery.id}", {"body": body})
                bodies[delivery.id] = body
        return bodies

    def _first_body(self, delivery: ClaimedDelivery) -> str | None:
        """Return the body of the first attempt; None without one that can be decrypted."""
        if delivery.body is None or not delivery.body.startswith(_ENCRYPTED):
            return delivery.body
        with contextlib.suppress(DecryptionError):
            return str(self.keyring.decrypt(f"body {delivery.id}", delivery.body).get("body"))
        return None
