"""One alert as a JSON object of Alertmanager's API v2."""

import re
from collections.abc import Mapping

from delivery.alerts.alert import rfc3339, without_internal
from delivery.event import Event
from delivery.guard.url import InvalidUrl, parse_url

# Uptrace's choice: no false resolution while Tocsin is stopped. Without an end it is five minutes.
OPEN_MS = 30 * 24 * 3600 * 1000
TEST_MS = 5 * 60 * 1000
# Keeps the alert of a test apart from every other alert.
TEST_LABEL = "tocsin_test"


def alert_json(event: Event) -> dict:
    """Return the alert of an event."""
    alert = event.alert
    labels = {"alertname": alert.name, **_valid_names(alert.labels)}
    if event.is_test:
        labels[TEST_LABEL] = str(event.number)
    return {
        "labels": labels,
        "annotations": _valid_names(without_internal(alert.annotations)),
        **_times(event),
        "generatorURL": alert.url if _is_url(alert.url) else "",
    }


def _times(event: Event) -> dict[str, str]:
    """Return the start, and an end that is far ahead unless the alert is closed or a test.

    The end of a closed alert is never in the future, where it would keep the alert firing.
    """
    alert = event.alert
    starts = event.started_at
    ends = max(starts, event.at) + (TEST_MS if event.is_test else OPEN_MS)
    if alert.closed:
        starts = min(starts, event.at)
        ends = event.at
        if alert.ends_at is not None:
            ends = max(starts, min(alert.ends_at, event.at))
    return {"startsAt": rfc3339(starts), "endsAt": rfc3339(ends) or "9999-12-31T23:59:59.999Z"}


def _is_url(text: str) -> bool:
    """Return True for an absolute URL: Alertmanager refuses an alert with any other."""
    try:
        return bool(parse_url(text))
    except InvalidUrl:
        return False


def _valid_names(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the non-empty texts under names that every version of Alertmanager accepts.

    These have letters, digits and underscores; names that collide are numbered.
    """
    valid: dict[str, str] = {}
    for name, text in sorted(texts.items()):
        base = re.sub(r"[^A-Za-z0-9_]|^(?=[0-9])", "_", name)
        free = base
        number = 1
        while free in valid:
            number += 1
            free = f"{base}_{number}"
        if text.strip():
            valid[free] = text
    return valid
