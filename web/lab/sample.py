"""The sample alert of a receiver, and the channels that it goes to."""

import secrets
from typing import NamedTuple

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.alerts.matchers import labels_of, matches, write_matcher
from delivery.alerts.parsed import to_received
from delivery.alerts.received import ReceivedAlert
from delivery.alerts.routing import find_silence
from delivery.outbox.silences import active_silences, read_matchers
from models import Channel, LabReceiver

LABEL = "lab"
CLOSES_AFTER = 10 * MINUTE


class Recipients(NamedTuple):
    """The channels that the sample alert of a receiver matches, and whether a silence stops it.

    `here` send to the receiver, `elsewhere` do not.
    """

    here: list[Channel]
    elsewhere: list[Channel]
    is_silenced: bool

    @property
    def ids(self) -> list[int]:
        """The ids of all of them."""
        return sorted(channel.id for channel in (*self.here, *self.elsewhere))


def matchers_for(receiver: LabReceiver) -> str:
    """Return matchers with which a channel gets the sample alert of a receiver, and no others."""
    return write_matcher(LABEL, receiver.name)


def sample_of(receiver: LabReceiver, now: int) -> ReceivedAlert:
    """Return a new alert with the name of the receiver as a label; it closes after 10 minutes."""
    alert = Alert(
        name="Disk almost full",
        labels={
            LABEL: receiver.name,
            "severity": "warning",
            "instance": "db-1.example",
            "mountpoint": "/var",
        },
        annotations={"summary": "A sample alert from the lab of Tocsin: nothing is wrong."},
        starts_at=now,
    )
    return to_received(("lab", f"{receiver.id} {secrets.token_hex(8)}"), alert, now + CLOSES_AFTER)


def recipients_of(receiver: LabReceiver, ids_here: set[int], now: int) -> Recipients:
    """Return who gets the sample alert; the channels with `ids_here` send to the receiver."""
    labels = labels_of(sample_of(receiver, now).alert)
    here: list[Channel] = []
    elsewhere: list[Channel] = []
    for channel in Channel.listed():
        if matches(read_matchers(channel.matchers), labels):
            group = here if channel.id in ids_here else elsewhere
            group.append(channel)
    is_silenced = find_silence(labels, active_silences(now)) is not None
    return Recipients(here, elsewhere, is_silenced)
