"""Alerts of every size and shape, and the bodies of messages about them."""

import json

import pytest
from kind_support import AT, channel_of

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.installation import Installation
from delivery.message import write_body

INSTALLATION = Installation("1nsta11ed", "https://tocsin.example")
BERLIN = {"time_zone": "Europe/Berlin"}
PROMETHEUS = "https://prometheus.example/graph?g0.expr=pg_replication_lag"
RUNBOOK = "https://wiki.example/run_books/lag"
IN_TOCSIN = "https://tocsin.example/alerts/4711"

LAG = {
    "id": "4711",
    "name": "PostgresReplicationLag",
    "labels": {
        "alertname": "PostgresReplicationLag",
        "severity": "critical",
        "instance": "db-2.prod:9187",
        "namespace": "data",
        "team": "db_core",
        "__rule_uid__": "internal",
    },
    "annotations": {
        "summary": "Replication lag is 48 s & rising",
        "description": "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first.",
        "runbook_url": RUNBOOK,
    },
    "value": "48.2",
    "starts_at": AT - 12 * MINUTE,
    "ends_at": AT,
    "url": PROMETHEUS,
}
MINIMAL = {"name": "DiskFull"}
TRAPS = "<!channel> <@U1> @everyone </b> &amp; *x* _y_ `z` [a](https://evil.example) \\ | > q"
HOSTILE = {
    "name": TRAPS + "\nRESOLVED",
    "labels": {"host": TRAPS, TRAPS: TRAPS + "\nseverity: info", "severity": "warning"},
    "annotations": {"summary": TRAPS, "description": f"# {TRAPS}\n\x00- b\r\u202e{TRAPS}"},
    "starts_at": AT - MINUTE,
    "url": "javascript:alert(1)",
}
HUGE = {
    "id": "4711",
    "name": "N" * 3000,
    "labels": {
        "severity": "critical",
        "host": "h" * 3000,
        "pod": "pg-0",
        "namespace": "data",
        **{f"label_{number:03}": "v" * 900 for number in range(190)},
    },
    "annotations": {
        "summary": "The summary. " + "s" * 9000,
        "description": "One of many sentences. " * 2800,
        "runbook_url": RUNBOOK,
    },
    "starts_at": AT - MINUTE,
    "url": PROMETHEUS,
}
SHORT_URLS = "\n".join(" ".join(f"https://a.b/{line}{i}" for i in range(9)) for line in range(400))
MANY_URLS = {
    **HUGE,
    "annotations": {
        "summary": SHORT_URLS,
        "description": f"At {SHORT_URLS}",
        "runbook_url": RUNBOOK,
    },
}
FIRST_YEAR = "0001-01-01T00:00:00.001Z"
LAST_YEAR = "9999-12-31T23:59:59.999Z"
_DISKS = [
    {"name": "DiskFull", "labels": {"severity": severity, "host": host, "cluster": "eu"}}
    for host, severity in {"db-1": "warning", "db-2": "critical", "db-3": "info"}.items()
]


def body_about(kind, parts, closed=False, **options):
    """Return the body of the message about the alert with these parts."""
    parts = {**parts, "status": "closed" if closed else "open"}
    event = Event(Alert.from_json(parts), 1, AT)
    return _parsed(AlertText(event, channel_of(kind, **options), INSTALLATION))


def body_about_group(kind, closed=0, count=3):
    """Return the body of the message about so many alerts, of which some are closed."""
    alerts = [{**_DISKS[number % 3], "id": str(number)} for number in range(count)]
    for alert in alerts[:closed]:
        alert["status"] = "closed"
    events = [Event(Alert.from_json(parts), 1, AT) for parts in alerts]
    return _parsed(text_of_group(events, "disks", channel_of(kind), INSTALLATION))


def _parsed(text):
    """Return a body, parsed as strictly as a receiver may parse it."""
    return json.loads(write_body(text), parse_constant=pytest.fail)
