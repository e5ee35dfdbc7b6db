"""Sample alerts for tests and previews."""

from dataclasses import replace

from clock import MINUTE
from delivery.alerts.alert import Alert, AlertStatus

_HOSTILE = "\"'\\ </script><b>&amp; {{ alert.name }} \r\n\t\x00\x1b[31m \u202egnp\u202c \u2028 🔔"


def sample_alert(now: int, url: str) -> Alert:
    """Return the alert of a test: open since `now`, and marked as a test."""
    return Alert(
        id=str(now),
        name="Test alert from Tocsin",
        labels={"severity": "info", "source": "tocsin"},
        annotations={"summary": "This is a test: nothing is wrong."},
        starts_at=now,
        url=url,
    )


def samples(now: int, url: str) -> dict[str, Alert]:
    """Return the alerts of a preview by name: `open`, `closed`, `hostile` and `huge`."""
    opened = sample_alert(now, url)
    closed = replace(opened, status=AlertStatus.CLOSED, starts_at=now - 26 * MINUTE, ends_at=now)
    hostile = replace(
        opened,
        id=_HOSTILE,
        name=_HOSTILE,
        labels={_HOSTILE: _HOSTILE},
        annotations={"summary": _HOSTILE},
        url=_HOSTILE,
    )
    sentences = "One of many sentences. " * 1000
    huge = replace(
        opened,
        name="Huge alert. " * 833 + "Huge",
        labels={f"label_{number}": "long value " * 45 + "value" for number in range(1, 201)},
        annotations={"summary": sentences, "description": sentences},
    )
    return {"open": opened, "closed": closed, "hostile": hostile, "huge": huge}
