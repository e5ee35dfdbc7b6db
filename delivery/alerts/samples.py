"""Sample alerts for tests and previews."""

from dataclasses import replace

from clock import MINUTE
from delivery.alerts.alert import Alert, AlertStatus

SOURCE_URL = "https://prometheus.example.com/graph?g0.expr=pg_replication_lag_seconds%20%3E%2030"
GROUP = "group"
_HOSTILE = "\"'\\ </script><b>&amp; {{ alert.name }} \r\n\t\x00\x1b[31m \u202egnp\u202c \u2028 🔔"
_SHARED = {"cluster": "eu-1", "team": "storage"}
# The alerts of a group beside the first: name, severity, instance, summary, age in minutes.
_OTHERS = (
    ("PostgresReplicationLag", "error", "db-3.prod:9187", "Replication lag is 21 s", 11),
    ("DiskWillFillIn4Hours", "error", "db-1.prod:9100", "/var/lib/postgresql is 91 % full", 38),
    ("DiskWillFillIn4Hours", "warning", "db-4.prod:9100", "/var/lib/postgresql is 84 % full", 35),
    ("PostgresSlowQueries", "warning", "db-2.prod:9187", "212 queries took more than 1 s", 9),
    ("PostgresSlowQueries", "warning", "db-3.prod:9187", "97 queries took more than 1 s", 7),
    ("BackupLate", "info", "backup-1.prod:9100", "The last backup is 26 hours old", 64),
    ("PostgresDown", "critical", "db-5.prod:9187", "PostgreSQL does not answer", 52),
    ("HighLoad", "warning", "db-5.prod:9100", "The load is 41 on 16 cores", 50),
)
_RESOLVED = {"PostgresDown", "HighLoad"}


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


def drill_alert(now: int, url: str) -> Alert:
    """Return the alert of a fire drill: open since `now`, and marked as a drill."""
    return replace(
        sample_alert(now, url),
        name="Fire drill from Tocsin",
        annotations={
            "summary": "This is a scheduled drill: nothing is wrong, and no action is needed."
        },
    )


def realistic_alert(now: int, url: str) -> Alert:
    """Return an alert as Prometheus sends it, open for 12 minutes."""
    return Alert(
        id=str(now),
        name="PostgresReplicationLag",
        labels={
            "severity": "critical",
            "instance": "db-2.prod:9187",
            "job": "postgres",
            **_SHARED,
        },
        annotations={
            "summary": "Replication lag is 48 s and rising",
            "description": "The replica db-2 is 48 s behind its primary db-1 (limit: 30 s).\n"
            "Reads from the replica are stale, and a failover would lose writes.\n"
            "Check the network between the zones, then the I/O of the replica.",
            "runbook_url": "https://runbooks.example.com/postgres/replication_lag",
        },
        starts_at=now - 12 * MINUTE,
        url=url,
    )


def samples(now: int, url: str) -> dict[str, Alert]:
    """Return the alerts of a preview by name: `open`, `closed`, `hostile` and `huge`."""
    opened = realistic_alert(now, url)
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


def sample_group(now: int, url: str) -> list[Alert]:
    """Return the alerts of a group: nine, of which one open one is critical, and two resolved."""
    first = realistic_alert(now, url)
    alerts = [first]
    for number, (name, severity, instance, summary, age) in enumerate(_OTHERS, 1):
        alert = replace(
            first,
            id=str(now + number),
            name=name,
            labels={**_SHARED, "severity": severity, "instance": instance},
            annotations={"summary": summary},
            starts_at=now - age * MINUTE,
        )
        if name in _RESOLVED:
            alert = replace(alert, status=AlertStatus.CLOSED, ends_at=now)
        alerts.append(alert)
    return alerts
