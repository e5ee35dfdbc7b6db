"""The kind that speaks to programs written for Alertmanager's webhook (version 4)."""

import pytest
from kind_support import LATENCY, body_of

from delivery.alerts.alert import Alert
from delivery.alerts.webhooks import parse_webhook
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.installation import Installation
from delivery.kinds.alertmanager_webhook import body
from delivery.settings import Settings

KIND = "alertmanager_webhook"
AT = 1772442900120
MEMBERS = [
    "version",
    "groupKey",
    "truncatedAlerts",
    "status",
    "receiver",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "alerts",
]
OF_AN_ALERT = [
    "status",
    "labels",
    "annotations",
    "startsAt",
    "endsAt",
    "generatorURL",
    "fingerprint",
]


def event(**parts):
    return Event(Alert.from_json({**LATENCY, **parts}), 1, AT)


def test_a_message_has_the_members_of_version_4():
    message = body_of(KIND)
    assert list(message) == MEMBERS
    assert message["version"] == "4"
    [alert] = message["alerts"]
    assert list(alert) == OF_AN_ALERT
    assert alert["labels"]["alertname"] == LATENCY["name"]


@pytest.mark.parametrize(
    ("status", "written", "has_end"), [("open", "firing", False), ("closed", "resolved", True)]
)
def test_only_a_resolved_alert_has_an_end(status, written, has_end):
    message = body_of(KIND, {**LATENCY, "status": status})
    [alert] = message["alerts"]
    assert message["status"] == alert["status"] == written
    assert (alert["endsAt"] != "0001-01-01T00:00:00Z") is has_end


def test_the_fingerprint_is_that_of_the_labels_alone():
    [first] = body_of(KIND)["alerts"]
    [closed] = body_of(KIND, {**LATENCY, "status": "closed", "annotations": {}})["alerts"]
    [other] = body_of(KIND, {**LATENCY, "labels": {"host": "db"}})["alerts"]
    assert first["fingerprint"] == closed["fingerprint"] != other["fingerprint"]


def test_a_group_names_what_its_alerts_have_in_common():
    events = [
        event(labels={"team": "db", "host": "a"}, annotations={"runbook": "r", "summary": "a"}),
        event(labels={"team": "db", "host": "b"}, annotations={"runbook": "r"}, status="closed"),
    ]
    text = text_of_group(events, "k", Settings(kind=KIND), Installation("c0ffee"))
    message = body(text)
    assert message["status"] == "firing"
    assert message["commonLabels"] == {"alertname": LATENCY["name"], "team": "db"}
    assert message["commonAnnotations"] == {"runbook": "r"}
    assert [alert["status"] for alert in message["alerts"]] == ["firing", "resolved"]
    assert message["groupKey"] == "tocsin-c0ffee-group-k"


def test_another_tocsin_reads_the_message_as_one_of_alertmanager():
    parsed = parse_webhook(body_of(KIND), AT)
    assert not parsed.problems
    [received] = parsed.alerts
    assert received.alert.name == LATENCY["name"]
    assert not received.alert.closed
