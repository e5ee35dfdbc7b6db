"""What a request with alerts is parsed into, and the limits of a request and of an alert."""

import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NamedTuple

from delivery.alerts.alert import Alert
from delivery.alerts.members import InvalidMember
from delivery.alerts.received import ReceivedAlert

MAX_ALERTS = 10_000
MAX_LABELS = 100
MAX_CHARACTERS = 64 * 1024
MAX_PROBLEMS = 20


class ParsedAlerts(NamedTuple):
    """The valid alerts of a request, and a sentence for each invalid one.

    `truncated` is how many more the sender cut off.
    """

    alerts: list[ReceivedAlert]
    problems: list[str]
    truncated: int = 0


Parser = Callable[[Any, int], ParsedAlerts]


class InvalidPayload(ValueError):
    """No alert of a request is accepted; `errors` has messages by `index.member`."""

    def __init__(self, message: str, errors: dict[str, list[str]] | None = None):
        super().__init__(f"Nothing was stored. {message}")
        self.errors = errors or {}


class TooManyAlerts(InvalidPayload):
    """A request has more alerts than one request may have."""


def parse_each(
    values: list, parse: Callable[[dict], ReceivedAlert]
) -> tuple[list[ReceivedAlert], dict[int, InvalidMember]]:
    """Return the valid alerts of a list, and the error of each invalid one by its index.

    Raises:
        TooManyAlerts: The list is longer than one request may have.
    """
    if len(values) > MAX_ALERTS:
        raise TooManyAlerts(
            f"The request has {len(values):,} alerts; at most {MAX_ALERTS:,} are allowed."
        )
    alerts = []
    invalid = {}
    for index, members in enumerate(values):
        try:
            if not isinstance(members, dict):
                raise InvalidMember("", "an alert is a JSON object")
            alerts.append(parse(members))
        except InvalidMember as error:
            invalid[index] = error
    return alerts, invalid


def label_identity(labels: Mapping[str, str]) -> tuple:
    """Return the identity of an alert that only its labels identify; empty ones do not count."""
    return ("labels", sorted((name, value) for name, value in labels.items() if value))


def to_received(identity: tuple, alert: Alert, closes_at: int | None = None) -> ReceivedAlert:
    """Return an alert with the hash of its identity as its key.

    An identity begins with the name of its family, so that two families never share a key.
    """
    if max(len(alert.labels), len(alert.annotations)) > MAX_LABELS:
        raise InvalidMember("", f"it has more than {MAX_LABELS} labels or annotations")
    texts = [identity[1], alert.name, alert.url]
    for pairs in (alert.labels, alert.annotations):
        texts += chain(*pairs.items())
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise InvalidMember("", f"it is longer than {MAX_CHARACTERS:,} characters")
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    if alert.closed:
        closes_at = None
    return ReceivedAlert(key, alert, closes_at)


def shorten(problems: list[str]) -> list[str]:
    """Return the first problems, and how many more there are."""
    hidden = len(problems) - MAX_PROBLEMS
    if hidden <= 0:
        return problems
    return [*problems[:MAX_PROBLEMS], f"and {hidden:,} more"]
