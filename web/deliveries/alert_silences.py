"""Silencing the alert of a page in one step."""

from dataclasses import replace
from typing import NamedTuple

from clock import HOUR
from delivery.alerts.alert import Alert, without_internal
from delivery.alerts.matchers import labels_of, matches, parse_matchers
from delivery.content.facts import name_of
from delivery.outbox.silences import read_matchers
from delivery.silencing import matchers_of
from models import Silence

# The durations that the page offers, by their hours.
DURATIONS = {"1": "1 hour", "4": "4 hours", "24": "1 day"}
MAX_NAME_LENGTH = 200
MAX_SHOWN_BYTES = 1000  # servers refuse a link with many more


class SilenceOffer(NamedTuple):
    """The matchers that silence an alert, and those that the page shows and links to.

    `is_partial` says that the alert has labels beyond the limits, which are not among the matchers.
    """

    matchers: str
    shown: str
    is_partial: bool


def offer_for(alert: Alert) -> SilenceOffer:
    """Return what silences exactly such an alert; internal labels are matched, but not shown."""
    text = matchers_of(alert)
    is_partial = len(parse_matchers(text)) < len(labels_of(alert))
    visible = replace(alert, labels=without_internal(alert.labels))
    return SilenceOffer(text, matchers_of(visible, MAX_SHOWN_BYTES), is_partial)


def silences_of(alert: Alert, now: int) -> list[Silence]:
    """Return the active silences that match an alert, the one that ends last first."""
    labels = labels_of(alert)
    found = []
    for silence in Silence.select().where(Silence.until > now).order_by(Silence.until.desc()):
        matchers = read_matchers(silence.matchers)
        if matchers and matches(matchers, labels):
            found.append(silence)
    return found


def comment_for(alert: Alert) -> str:
    """Return the comment of a silence from the page of an alert."""
    name = "".join(filter(str.isprintable, name_of(alert)))
    return f"Silenced from the page of {name[:MAX_NAME_LENGTH]}"


def duration_of(hours: str) -> int:
    """Return one of the durations in milliseconds; 0 for any other text."""
    return int(hours) * HOUR if hours in DURATIONS else 0
