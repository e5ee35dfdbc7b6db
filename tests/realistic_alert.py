"""One realistic alert, its resolution and others, and their messages of every kind.

The expected bodies are in `test_message_chats.py` and its neighbors.
"""

import json

import pytest
from kind_support import AT, channel_of

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.content.group_text import GroupText
from delivery.event import Event
from delivery.installation import Installation
from delivery.message import build, write_body

INSTALLATION = Installation("1nsta11ed", "https://tocsin.example")
STARTED = AT - 12 * MINUTE
SECONDS = STARTED // 1000
KEY = f"tocsin-1nsta11ed-4711-{STARTED}"

TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
RESOLVED = "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187"
SUMMARY = "Replication lag is 48 s and rising"
WAS = f"Was critical: {SUMMARY}"
DESCRIPTION = (
    "The replica db-2 is behind the primary.\n"
    "Failovers lose the newest transactions, see pg_stat_replication.\n"
    "Dashboards: https://grafana.example/d/pg_lag?var=db_2"
)
SOURCE = "https://prometheus.example/graph?g0.expr=pg_replication_lag"
RUNBOOK = "https://wiki.example/run_books/pg_lag"
DASHBOARD = "https://grafana.example/d/pg"
TOCSIN = "https://tocsin.example/alerts/4711"
LINKS = {
    "Source": SOURCE,
    "Runbook": RUNBOOK,
    "Dashboard": DASHBOARD,
    "Open in Tocsin": TOCSIN,
}
FACTS = {
    "value": "48.2",
    "namespace": "data",
    "service": "postgres",
    "cluster": "eu-1",
    "team": "db",
}
FACT_LINES = "\n".join(f"{name}: {value}" for name, value in FACTS.items())
START = "2026-03-02 09:03 +00:00"
TIMES = f"Started {START} (12 min ago)"
SPAN = f"Started {START}, ended 09:15 +00:00"
MARKDOWN_LINKS = " · ".join(f"[{name}]({url})" for name, url in LINKS.items())
LINK_LINES = "\n".join(f"{name}: {url}" for name, url in LINKS.items())

LAG = {
    "id": "4711",
    "name": "PostgresReplicationLag",
    "labels": {
        "alertname": "PostgresReplicationLag",
        "severity": "critical",
        "instance": "db-2.prod:9187",
        "namespace": "data",
        "service": "postgres",
        "cluster": "eu-1",
        "team": "db",
        "__alert_rule_uid__": "rule-1",
    },
    "annotations": {
        "summary": SUMMARY,
        "description": DESCRIPTION,
        "runbook_url": RUNBOOK,
        "dashboard_url": DASHBOARD,
    },
    "value": "48.2",
    "starts_at": STARTED,
    "url": SOURCE,
}
MINIMAL = {"name": "DiskFull"}
# Markup, mentions and links of every service; and what is none of these and stays as it is.
MARKUP = (
    "<!channel> <@U1> <users/all> @everyone @all @here <at id=all></at> </b> &amp; *x* _y_ `z` "
    "~~s~~ ||t|| [a](https://evil.example/x) <https://evil.example|b> \\ | > q"
)
PLAIN = "failed_requests_total C:\\temp_1 50% R&D a<b mail@host.example"
URL = "https://wiki.example/run_books/a_b?x=1&y=*2*_z"


def event_of(parts=LAG, closed=False, at=AT, number=1):
    """Return the opening of an alert, or its resolution."""
    status = {"status": "closed", "ends_at": at} if closed else {"status": "open"}
    return Event(Alert.from_json({**parts, **status}), number, at, opening=STARTED)


def body_of(kind, parts=LAG, closed=False, url="", **options):
    """Return the body of the message, parsed as strictly as a receiver may parse it."""
    channel = channel_of(kind, url, **options)
    message = build(channel, event_of(parts, closed), installation=INSTALLATION)
    return json.loads(message.body, parse_constant=pytest.fail)


def group_body_of(kind, *members, **options):
    """Return the body of a message about these alerts, each with whether it is closed."""
    channel = channel_of(kind, **options)
    events = [event_of(parts, closed) for parts, closed in members]
    group = GroupText.of(events, "db", channel, INSTALLATION)
    return json.loads(write_body(group), parse_constant=pytest.fail)


def with_severity(severity):
    """Return the realistic alert with this severity; without one if it is empty."""
    return {**LAG, "labels": {**LAG["labels"], "severity": severity}}


def hostile(text):
    """Return the realistic alert with this text in its place for every text."""
    return {
        **LAG,
        "name": text,
        "labels": {"instance": text, text: text},
        "annotations": {**LAG["annotations"], "summary": text, "description": f"{text}\n{text}"},
        "value": text,
    }


# Two open alerts and a resolved one, of one cluster.
GROUP = (
    (with_severity("warning") | {"name": "DiskFull"}, False),
    (LAG, False),
    (with_severity("warning") | {"name": "HighLoad"}, True),
)
GROUP_TITLE = "CRITICAL 2 open, 1 resolved: PostgresReplicationLag, DiskFull, HighLoad"
GROUP_SUBJECT = "service postgres"
GROUP_LINES = [
    f"CRITICAL PostgresReplicationLag · db-2.prod:9187: {SUMMARY}",
    f"WARNING DiskFull · db-2.prod:9187: {SUMMARY}",
    f"Resolved after 12 min: HighLoad · db-2.prod:9187: {SUMMARY}",
]
