"""Sample alerts for tests and previews."""

from dataclasses import replace

from delivery.alerts.alert import Alert, AlertStatus

_HOSTILE = "\"'\\ </script><b>&amp; {{ alert.name }} \r\n\t\x00\x1b[31m \u202egnp\u202c \u2028 🔔"


def sample_alert(now: int, url: str) -> Alert:
    """The alert of a test and of a preview: open, at `now`, and saying that it is only a test."""
    return Alert.read(
        {
            "id": str(now),
            "name": "Test alert from Tocsin",
            "labels": {"severity": "info", "source": "tocsin"},
            "annotations": {"summary": "This is a test: nothing is wrong."},
            "starts_at": now,
            "url": url,
        }
    )


def samples(now: int, url: str) -> dict[str, Alert]:
    """The alerts that previews show: the one of a test, the same closed, one with traps in every part, and a huge one."""
    opened, text = sample_alert(now, url), _HOSTILE
    hostile = dict.fromkeys(("id", "name", "url"), text) | {
        "labels": {text: text},
        "annotations": {"summary": text},
    }
    huge = {
        "name": "Huge alert. " * 833 + "Huge",
        "labels": {f"label_{number}": "long value " * 45 + "value" for number in range(1, 201)},
        "annotations": dict.fromkeys(("summary", "description"), "One of many sentences. " * 1000),
    }
    return {
        "open": opened,
        "closed": replace(
            opened, status=AlertStatus.CLOSED, starts_at=now - 26 * 60_000, ends_at=now
        ),
        "hostile": Alert.read({**hostile, "starts_at": now}),
        "huge": Alert.read({**huge, "id": opened.id, "url": url, "starts_at": now}),
    }
