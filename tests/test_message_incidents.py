"""The incidents of PagerDuty and the alerts of Opsgenie."""

import pytest
from alert_samples import (
    BERLIN,
    FIRST_YEAR,
    HOSTILE,
    HUGE,
    IN_TOCSIN,
    LAG,
    LAST_YEAR,
    MINIMAL,
    PROMETHEUS,
    RUNBOOK,
    TRAPS,
    body_about,
    body_about_group,
)
from kind_support import AT, channel_of

from delivery.alerts.alert import Alert
from delivery.event import Event
from delivery.json_text import dumps
from delivery.message import build
from delivery.text import MARK, utf8_length, utf16_length

INCIDENTS = ["pagerduty", "opsgenie"]
ROUTING_KEY = "R0UT1NGKEY000000000000000000000A"
HEADLINE = "Replication lag is 48 s & rising · db-2.prod:9187"
DESCRIPTION = "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first."
STARTED = "2026-03-02 10:03 +01:00 (12 min ago)"
FACTS = {"value": "48.2", "namespace": "data", "team": "db_core"}
GROUP = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
GROUP_LINES = "CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1"
ALERTS = "https://tocsin.example/alerts"


def trigger(key, payload, *links):
    return {
        "routing_key": ROUTING_KEY,
        "dedup_key": key,
        "event_action": "trigger",
        "payload": payload,
        "client": "Tocsin",
        **({"client_url": links[-1][1]} if links else {}),
        **({"links": [{"href": url, "text": name} for name, url in links]} if links else {}),
    }


def details_of(kind, parts):
    """Return the table of the incident about an alert."""
    body = body_about(kind, parts)
    return body["payload"]["custom_details"] if kind == "pagerduty" else body["details"]


def headline_of(kind, parts):
    body = body_about(kind, parts)
    return body["payload"]["summary"] if kind == "pagerduty" else body["message"]


def test_pagerduty_gets_an_incident_with_everything():
    labels = {**LAG["labels"], "class": "replication", "component": "postgres"}
    assert body_about("pagerduty", {**LAG, "labels": labels}, **BERLIN) == trigger(
        "tocsin-4711",
        {
            "summary": HEADLINE,
            "source": "db-2.prod:9187",
            "severity": "critical",
            "timestamp": "2026-03-02T09:03:00.120Z",
            "component": "postgres",
            "group": "data",
            "class": "replication",
            "custom_details": {
                "alert": "PostgresReplicationLag",
                "description": DESCRIPTION,
                "started": STARTED,
                **FACTS,
                "class": "replication",
                "component": "postgres",
            },
        },
        ("Source", PROMETHEUS),
        ("Runbook", RUNBOOK),
        ("Open in Tocsin", IN_TOCSIN),
    )


def test_opsgenie_gets_an_alert_with_everything():
    labels = {**LAG["labels"], "env": "prod", "service": "postgres"}
    assert body_about("opsgenie", {**LAG, "labels": labels}, **BERLIN) == {
        "message": HEADLINE,
        "alias": "tocsin-4711",
        "priority": "P1",
        "source": "Tocsin",
        "tags": ["critical", "db_core", "data", "prod", "postgres"],
        "entity": "db-2.prod:9187",
        "description": f"Replication lag is 48 s & rising\n\n{DESCRIPTION}\n\n"
        f"Started {STARTED}\nSource: {PROMETHEUS}\nRunbook: {RUNBOOK}\n"
        f"Open in Tocsin: {IN_TOCSIN}",
        "details": {
            "alert": "PostgresReplicationLag",
            "url": PROMETHEUS,
            "value": "48.2",
            "namespace": "data",
            "service": "postgres",
            "team": "db_core",
            "env": "prod",
        },
    }


def test_a_resolution_closes_the_incident_by_its_key():
    assert body_about("pagerduty", LAG, closed=True) == {
        "routing_key": ROUTING_KEY,
        "dedup_key": "tocsin-4711",
        "event_action": "resolve",
    }
    assert body_about("opsgenie", LAG, closed=True) == {
        "source": "Tocsin",
        "note": "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187",
    }
    closed = Event(Alert.from_json({**LAG, "status": "closed"}), 1, AT)
    url = build(channel_of("opsgenie"), closed).target.url
    assert url.endswith("/v2/alerts/tocsin-4711/close?identifierType=alias")


def test_pagerduty_gets_an_incident_about_an_alert_with_only_a_name():
    parts = {**MINIMAL, "id": "1"}
    payload = {
        "summary": "DiskFull",
        "source": "Tocsin",
        "severity": "error",
        "timestamp": "2026-03-02T09:15:00.120Z",
        "class": "DiskFull",
        "custom_details": {"alert": "DiskFull"},
    }
    link = ("Open in Tocsin", "https://tocsin.example/alerts/1")
    assert body_about("pagerduty", parts) == trigger("tocsin-1", payload, link)
    assert "links" not in body_about("pagerduty", MINIMAL)
    assert "client_url" not in body_about("pagerduty", MINIMAL)


def test_opsgenie_gets_an_alert_about_an_alert_with_only_a_name():
    body = body_about("opsgenie", MINIMAL)
    assert body.pop("alias").startswith("tocsin-")
    assert body == {
        "message": "DiskFull",
        "priority": "P2",
        "source": "Tocsin",
        "tags": ["error"],
        "details": {"alert": "DiskFull"},
    }


def test_pagerduty_gets_an_incident_about_a_group():
    payload = {
        "summary": GROUP,
        "source": "cluster eu",
        "severity": "critical",
        "timestamp": "2026-03-02T09:15:00.120Z",
        "group": "eu",
        "class": "DiskFull",
        "custom_details": {"alert": "DiskFull", "description": GROUP_LINES},
    }
    assert body_about_group("pagerduty", closed=1) == trigger(
        "tocsin-1nsta11ed-group-disks", payload, ("Open in Tocsin", ALERTS)
    )


def test_opsgenie_gets_an_alert_about_a_group():
    assert body_about_group("opsgenie", closed=1) == {
        "message": GROUP,
        "alias": "tocsin-1nsta11ed-group-disks",
        "priority": "P1",
        "source": "Tocsin",
        "tags": ["critical", "eu"],
        "entity": "cluster eu",
        "description": f"{GROUP_LINES}\n\nOpen in Tocsin: {ALERTS}",
        "details": {"alert": "DiskFull", "url": ALERTS},
    }


@pytest.mark.parametrize(
    ("severity", "pagerduty", "opsgenie"),
    [
        ("critical", "critical", "P1"),
        ("P1 - Critical", "critical", "P1"),
        ("error", "error", "P2"),
        ("", "error", "P2"),
        ("purple", "error", "P2"),
        ("warning", "warning", "P3"),
        ("info", "info", "P5"),
        ("normal", "info", "P5"),
    ],
)
def test_the_priority_follows_the_severity(severity, pagerduty, opsgenie):
    parts = {"labels": {"severity": severity}}
    assert body_about("pagerduty", parts)["payload"]["severity"] == pagerduty
    body = body_about("opsgenie", parts)
    assert body["priority"] == opsgenie
    assert body["tags"] == [pagerduty]


@pytest.mark.parametrize(
    ("parts", "headline"),
    [
        ({"name": "DiskFull"}, "DiskFull"),
        ({"name": "DiskFull", "labels": {"host": "db-2"}}, "DiskFull · db-2"),
        ({"annotations": {"summary": "Disk\nis full"}}, "Disk is full"),
        ({"annotations": {"description": "Disk is full\nAct now"}}, "Disk is full"),
        (
            {"annotations": {"summary": "Disk of db-2 is full"}, "labels": {"host": "db-2"}},
            "Disk of db-2 is full",
        ),
        (
            {"annotations": {"summary": "Disk is full"}, "labels": {"host": "db-2"}},
            "Disk is full · db-2",
        ),
    ],
)
@pytest.mark.parametrize("kind", INCIDENTS)
def test_the_headline_is_the_summary_with_the_subject(kind, parts, headline):
    assert headline_of(kind, parts) == headline


@pytest.mark.parametrize(
    ("labels", "component", "group", "alert_class"),
    [
        ({}, None, None, "DiskFull"),
        ({"job": "node"}, "node", None, "DiskFull"),
        ({"job": "node", "pod": "p", "service": "web"}, "web", None, "DiskFull"),
        ({"service.name": "web", "k8s.cluster.name": "eu"}, "web", "eu", "DiskFull"),
        ({"team": "db", "namespace": "data"}, None, "data", "DiskFull"),
        ({"environment": "prod", "class": "disk"}, None, "prod", "disk"),
        ({"service": " ", "app": "shop", "env": ""}, "shop", None, "DiskFull"),
        ({"__service": "internal"}, None, None, "DiskFull"),
    ],
)
def test_pagerduty_gets_component_group_and_class_from_labels(
    labels, component, group, alert_class
):
    payload = body_about("pagerduty", {"name": "DiskFull", "labels": labels})["payload"]
    assert payload.get("component") == component
    assert payload.get("group") == group
    assert payload["class"] == alert_class


@pytest.mark.parametrize("kind", INCIDENTS)
def test_texts_are_sent_as_they_are(kind):
    details = details_of(kind, HOSTILE)
    assert details["alert"] == f"{TRAPS} RESOLVED"
    assert f"{TRAPS} severity: info" in details.values()
    assert details["link"] == "javascript:alert(1)"
    assert "javascript" not in str(body_about(kind, HOSTILE).get("links"))
    assert "url" not in details
    texts = body_about("opsgenie", HOSTILE)["description"]
    if kind == "pagerduty":
        texts = f"{TRAPS}\n\n{details['description']}"
    summary, description = texts.split("\n\n")[:2]
    assert summary == TRAPS
    assert description.splitlines() == [f"# {TRAPS}", "- b", f"\u202e{TRAPS}"]


@pytest.mark.parametrize(
    "name", ["alert", "url", "description", "started", "more", "parts", "self"]
)
@pytest.mark.parametrize("kind", INCIDENTS)
def test_a_label_with_the_name_of_a_row_is_not_lost(kind, name):
    many = {f"label_{number:03}": "value" for number in range(150)}
    for labels in ({}, many):
        parts = {**LAG, "labels": {"value": "v", name: "from the label", **labels}}
        details = details_of(kind, parts)
        number = 2 if name in ("alert", "url", "description", "started") else 1
        names = [name, f"{name} (2)"]
        found = [other for other in names if details.get(other) == "from the label"]
        assert found or labels
        assert details["alert"] == "PostgresReplicationLag"
        if not labels and number == 1:
            assert found == [name]


def test_long_names_that_begin_alike_are_all_in_the_table():
    labels = {"x" * 300 + str(number): str(number) for number in range(9)}
    for kind in INCIDENTS:
        details = details_of(kind, {"labels": labels})
        assert set(labels.values()) <= set(details.values())


@pytest.mark.parametrize(("kind", "shown"), [("pagerduty", 100), ("opsgenie", 25)])
def test_the_table_says_how_many_facts_it_leaves_out(kind, shown):
    labels = {f"label_{number:03}": "value" for number in range(190)}
    details = details_of(kind, {"labels": labels})
    assert [name for name in details if name in labels] == list(labels)[:shown]
    assert details["more"] == f"and {190 - shown} more"


@pytest.mark.parametrize("letter", ["s", "語", "🔔", '"', "\\"])
def test_a_huge_alert_keeps_every_limit_of_pagerduty(letter):
    parts = {
        **HUGE,
        "name": letter * 9000,
        "labels": {f"{number} {letter * 900}": letter * 4000 for number in range(190)},
        "annotations": {"summary": letter * 65_000, "description": f"{letter} " * 65_000},
        "links": dict.fromkeys(("panel", "dashboard"), "https://h.example/" + "x" * 3900),
    }
    body = body_about("pagerduty", parts)
    assert utf8_length(dumps(body)) <= 512_000
    payload = body["payload"]
    assert 1023 <= utf16_length(payload["summary"]) <= 1024
    assert payload["custom_details"]["more of the summary"].endswith(MARK)
    assert payload["custom_details"]["description"].endswith(MARK)


@pytest.mark.parametrize("letter", ["s", "語", "🔔", '"', "\\"])
def test_a_huge_alert_keeps_every_limit_of_opsgenie(letter):
    parts = {
        **HUGE,
        "name": letter * 9000,
        "labels": {
            "host": letter * 9000,
            "team": letter * 9000,
            **{f"{number} {letter * 900}": letter * 4000 for number in range(190)},
        },
        "annotations": {"summary": letter * 65_000, "description": f"{letter} " * 65_000},
        "url": "https://h.example/" + "x" * 3900,
    }
    body = body_about("opsgenie", parts)
    assert 128 <= utf16_length(body["message"]) <= 130
    assert utf16_length(body["entity"]) <= 512
    assert utf16_length(body["description"]) <= 15_000
    assert sum(utf16_length(name + text) for name, text in body["details"].items()) <= 8000
    assert len(body["tags"]) <= 20
    assert all(utf16_length(tag) <= 50 for tag in body["tags"])
    assert parts["url"] in body["description"]


@pytest.mark.parametrize("kind", INCIDENTS)
def test_a_huge_alert_keeps_what_is_most_important(kind):
    assert headline_of(kind, HUGE).startswith("The summary. ")
    assert headline_of(kind, HUGE).endswith(f"h{MARK}")
    details = details_of(kind, HUGE)
    assert (details["pod"], details["namespace"]) == ("pg-0", "data")
    text = str(body_about(kind, HUGE))
    for url in (PROMETHEUS, RUNBOOK, IN_TOCSIN):
        assert url in text
    assert "2026-03-02 09:14 +00:00 (1 min ago)" in text


@pytest.mark.parametrize("time", [FIRST_YEAR, LAST_YEAR])
def test_a_time_that_is_not_plausible_is_stated_as_a_text_only(time):
    started = f"{time[:10]} {time[11:16]} +00:00"
    payload = body_about("pagerduty", {"starts_at": time})["payload"]
    assert "timestamp" not in payload
    assert payload["custom_details"]["started"] == started
    assert body_about("opsgenie", {"starts_at": time})["description"] == f"Started {started}"


def test_two_installations_and_two_openings_have_keys_of_their_own():
    keys = set()
    for opening in (1, 2):
        event = Event(Alert.from_json(LAG), 1, AT, opening=opening)
        keys.add(build(channel_of("pagerduty"), event).body.split(b'"dedup_key":')[1][:30])
    assert len(keys) == 2
