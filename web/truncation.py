"""Alerts that a sender cut off from a message, so that Tocsin never received them."""

import re
from dataclasses import dataclass

from clock import DAY
from models import Fact

# Where each sender has the limit, by the last part of the path that it posts to.
SENDERS = {
    "alertmanager": ("Alertmanager", "max_alerts of the webhook in its configuration"),
    "grafana": ("Grafana", "Max alerts of the contact point"),
}
_PREFIX = "truncated by "


@dataclass(frozen=True)
class Truncation:
    """A message that came without some of its alerts, and the sender's setting."""

    sender: str
    setting: str
    at: int
    count: int


def record(sender: str, count: int, now: int) -> None:
    """Store that a message just came without `count` of its alerts."""
    Fact.store(_PREFIX + sender, f"{now} {count}")


def recent(now: int) -> list[Truncation]:
    """Return the latest truncated message of each sender in the last day."""
    found = []
    for fact in Fact.select().where(Fact.name.startswith(_PREFIX)).order_by(Fact.name):
        sender = SENDERS.get(fact.name.removeprefix(_PREFIX))
        numbers = re.fullmatch("([0-9]{1,18}) ([0-9]{1,18})", fact.value, re.ASCII)
        if sender and numbers and now - int(numbers[1]) < DAY:
            found.append(Truncation(*sender, *map(int, numbers.groups())))
    return found
