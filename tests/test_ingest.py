"""Tests of ingest: the formats of all senders, authentication, errors, commits and idempotency."""

import base64
import itertools
import json
import logging
import threading
import time

import psycopg
import pytest
from attempts import answered, claim_deliveries, result_of
from databases import ON_POSTGRESQL, another_writer, database_at, set_patience
from peewee import DatabaseError, IntegrityError, InterfaceError, OperationalError
from psycopg import errors

from clock import now_ms
from delivery import batch_writer, outbox
from delivery.alerts.alert import rfc3339
from delivery.alerts.parsers import parse_native
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.batch_writer import BatchWriter
from models import Alert, Channel, Delivery, Fact, Receipt, Token, db
from web.accounts.api_tokens import create_token
from web.api import alerts
from web.services import services

NOW = 1772444490004  # 2026-03-02T09:41:30.004Z
LABELS = {
    "alertname": "p99 latency above 800 ms",
    "service_name": "checkout",
    "severity": "critical",
}
FIRING = {
    "labels": LABELS,
    "annotations": {"summary": "p99 is 1.2 s, limit 800 ms"},
    "startsAt": "2026-03-02T09:15:00.120457Z",
    "endsAt": "2026-04-01T09:15:00Z",
    "generatorURL": "https://alerts.example.test/alerts/4711",
}
RESOLVED = {
    **FIRING,
    "annotations": {"summary": "p99 back to 310 ms"},
    "endsAt": "2026-03-02T09:41:30.004Z",
}
DISK = {"alertname": "DiskAlmostFull", "instance": "db-2:9100", "severity": "warning"}
WEBHOOK = {
    "version": "4",
    "groupKey": '{}/{severity="warning"}:{alertname="DiskAlmostFull"}',
    "truncatedAlerts": 0,
    "receiver": "notify-app",
    "status": "firing",
    "notification_reason": "first notification",
    "alerts": [
        {
            "status": "firing",
            "labels": DISK,
            "annotations": {"summary": "/var is 93% full"},
            "startsAt": "2026-03-02T08:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.test/graph?g0.expr=disk",
            "fingerprint": "9f2c4f0d6a1be377",
        }
    ],
    "groupLabels": {"alertname": "DiskAlmostFull"},
    "commonLabels": DISK,
    "commonAnnotations": {"summary": "/var is 93% full"},
    "externalURL": "http://alertmanager.example.test:9093",
}
GRAFANA = {
    **WEBHOOK,
    "version": "1",
    "orgId": 1,
    "state": "alerting",
    "title": "[FIRING:1] HighErrorRate",
    "alerts": [
        {
            **WEBHOOK["alerts"][0],
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 7.1},
            "valueString": "[ B=7.1 ]",
        }
    ],
}
UPTRACE = {
    "id": "1772442900120457000",
    "eventName": "created",
    "payload": {"team": "checkout", "tier": 1},
    "createdAt": "2026-03-02T09:15:00.120457Z",
    "alert": {
        "id": "4711",
        "url": "https://alerts.example.test/alerts/4711",
        "name": "p99 latency above 800 ms",
        "type": "metric",
        "status": "open",
        "createdAt": "2026-03-02T09:15:00.120457Z",
    },
}
POSTS = {
    "/api/v1/alerts": {"name": "Disk full"},
    "/api/v2/alerts": [{"labels": LABELS}],
    "/ingest/alertmanager": WEBHOOK,
    "/ingest/grafana": GRAFANA,
    "/ingest/uptrace": UPTRACE,
}


class Sender:
    """A monitoring system with a token."""

    def __init__(self, app, *scopes):
        with app.app_context():
            _row, self.token = create_token("-".join(scopes), list(scopes), None, "", now_ms())
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def post(self, path, sent, headers=None, method="POST"):
        """Post a value as JSON, or bytes unchanged."""
        body = sent if isinstance(sent, bytes) else json.dumps(sent)
        kind = {"Content-Type": "application/json"}
        return self.client.open(
            path, method=method, data=body, headers={**self.headers, **kind, **(headers or {})}
        )


@pytest.fixture
def sender(app):
    return Sender(app, "ingest")


@pytest.fixture
def channel(app):
    return Channel.create(name="All", kind="webhook", created_at=1, updated_at=1)


@pytest.fixture
def in_march(monkeypatch):
    """Set the clock to the time of the examples."""
    now = itertools.count(NOW)
    monkeypatch.setattr(alerts, "now_ms", lambda: next(now))


def stored():
    return [(alert.name, alert.status) for alert in Alert.select().order_by(Alert.id)]


# --- formats ---


def test_the_native_format_returns_the_stored_alerts_and_deliveries(sender, channel):
    answer = sender.post(
        "/api/v1/alerts", [{"name": "Disk full"}, {"name": "Load"}, {"name": "Disk full"}]
    )
    assert (answer.status_code, answer.content_type) == (202, "application/json")
    first, second = Delivery.select().order_by(Delivery.id)
    assert answer.json == {
        "alerts": [
            {"id": 1, "deliveries": [first.webhook_id]},
            {"id": 2, "deliveries": [second.webhook_id]},
            {"id": 1, "deliveries": []},
        ]
    }
    assert (
        sender.post("/api/v1/alerts", {"name": "Load", "status": "closed"}).json["alerts"][0]["id"]
        == 2
    )
    assert stored() == [("Disk full", "open"), ("Load", "closed")]
    assert sender.post("/api/v1/alerts", []).json == {"alerts": []}


V1 = {**FIRING, "endsAt": "2026-03-02T09:45:00Z"}


def test_a_client_of_alertmanagers_first_api_opens_and_closes_an_alert(sender, channel, in_march):
    """Old rulers of Loki, Thanos and Cortex post to this path, and need any 2xx."""
    answer = sender.post("/api/v1/alerts", [V1])
    assert (answer.status_code, answer.content_type) == (202, "application/json")
    assert answer.json["alerts"][0]["deliveries"] == [Delivery.get().webhook_id]
    assert (stored(), Alert.get().closes_at) == (
        [(LABELS["alertname"], "open")],
        1772444700000,
    )
    answer = sender.post("/api/v1/alerts", [{**V1, "endsAt": ENDED}])
    assert answer.json == {"alerts": [{"id": 1, "deliveries": []}]}
    assert (stored(), Alert.get().closes_at) == ([(LABELS["alertname"], "closed")], None)
    body = json.loads(Alert.get().body)
    assert (body["ends_at"], body["url"]) == (1772444489000, FIRING["generatorURL"])


def test_the_valid_alerts_of_a_client_of_the_first_api_are_stored(sender, channel):
    key = {"Idempotency-Key": "k"}
    for _attempt in range(2):
        answer = sender.post("/api/v1/alerts", [{**V1, "labels": {}}, V1], key)
        assert answer.status_code == 422
        assert "the others are stored. at least one label pair" in answer.json["detail"]
    assert (len(stored()), Receipt.select().count()) == (1, 0)


def test_an_unknown_member_refuses_all_native_alerts_by_name(sender):
    answer = sender.post("/api/v1/alerts", [{"name": "good"}, {"name": "bad", "state": "closed"}])
    words = "this member is unknown (did you mean status?)"
    assert (answer.status_code, answer.json["errors"]) == (422, {"1.state": [words]})
    assert answer.json["detail"] == f"Nothing was stored. 1.state: {words}."
    assert stored() == []


def test_the_response_notes_an_alert_that_no_channel_matches(sender):
    answer = sender.post("/api/v1/alerts", [{"name": "a"}, {"name": "b", "status": "closed"}])
    note = {"note": "No channel matches this alert."}
    assert answer.json["alerts"] == [
        {"id": 1, "deliveries": [], **note},
        {"id": 2, "deliveries": []},
    ]


def test_the_response_notes_an_opening_that_came_too_late(sender, channel):
    times = {"starts_at": "2026-03-02T09:00:00Z"}
    sender.post("/api/v1/alerts", {"name": "a", "status": "closed", **times})
    [late] = sender.post("/api/v1/alerts", {"name": "a", **times}).json["alerts"]
    assert late["note"] == "This opening came after its resolution, so it changed nothing."


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/ingest/alertmanager", "/ingest/uptrace"])
def test_a_header_notes_alerts_of_other_formats_that_no_channel_matches(sender, path):
    answer = sender.post(path, POSTS[path])
    assert answer.headers["Tocsin-Note"] == "No channel matches 1 of 1 alerts."
    assert answer.get_data(as_text=True).strip() in ("", "{}")
    Channel.create(name="All", kind="webhook", created_at=1, updated_at=1)
    assert "Tocsin-Note" not in sender.post(path, POSTS[path]).headers


ENDED = "2026-03-02T09:41:29Z"


def test_a_native_alert_that_ended_before_it_came_is_closed_and_notifies_nobody(
    sender, channel, in_march
):
    answer = sender.post("/api/v1/alerts", {"name": "Disk full", "ends_at": ENDED})
    assert answer.json == {"alerts": [{"id": 1, "deliveries": []}]}
    assert stored() == [("Disk full", "closed")]
    assert Delivery.select().count() == 0


def test_a_native_alert_with_an_end_in_the_past_closes_the_open_one(sender, channel, in_march):
    sender.post("/api/v1/alerts", {"name": "Disk full", "starts_at": "2026-03-02T09:00:00Z"})
    outbox.settle([arrived(delivery) for delivery in claim_deliveries(NOW + 5)], NOW + 5)
    sender.post("/api/v1/alerts", {"name": "Disk full", "status": "open", "ends_at": ENDED})
    assert stored() == [("Disk full", "closed")]
    rows = Delivery.select().order_by(Delivery.id)
    assert [(row.event, row.state) for row in rows] == [
        ("open", "delivered"),
        ("closed", "pending"),
    ]
    body = json.loads(Alert.get().body)
    assert body["starts_at"] == 1772442000000
    assert body["ends_at"] == 1772444489000


def test_an_opening_before_its_resolution_that_comes_after_it_stays_closed(
    sender, channel, in_march
):
    firing = {
        "labels": LABELS,
        "startsAt": "2026-03-02T09:15:00Z",
        "endsAt": "2026-03-02T09:55:00Z",
    }
    resolved = {**firing, "endsAt": "2026-03-02T09:41:00Z"}
    later = {**firing, "startsAt": "2026-03-02T09:41:10Z"}
    for sent, status in (
        (firing, "open"),
        (resolved, "closed"),
        (firing, "closed"),
        (later, "open"),
    ):
        assert sender.post("/api/v2/alerts", [sent]).status_code == 200
        assert stored() == [(LABELS["alertname"], status)]


def arrived(delivery):
    """Return the result of an attempt that delivered."""
    return result_of(delivery, answered(), NOW)


def test_uptrace_can_post_as_to_an_alertmanager(sender, in_march):
    answer = sender.post("/api/v2/alerts", [FIRING])
    assert (answer.status_code, answer.data, rfc3339(Alert.get().closes_at)) == (
        200,
        b"",
        "2026-04-01T09:15:00.000Z",
    )
    assert sender.post("/api/v2/alerts", [RESOLVED]).status_code == 200
    assert (stored(), Alert.get().closes_at) == ([(LABELS["alertname"], "closed")], None)


def test_alertmanager_stores_valid_alerts_beside_invalid_ones(sender):
    answer = sender.post(
        "/api/v2/alerts", [{"labels": LABELS}, {"labels": {"": "x"}}, {"labels": {"a": ""}}]
    )
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert answer.json == 'invalid label set: invalid name ""; at least one label pair required'
    assert stored() == [(LABELS["alertname"], "open")]


@pytest.mark.parametrize(
    ("path", "method"), [("alertmanager", "POST"), ("grafana", "POST"), ("grafana", "PUT")]
)
def test_a_webhook_opens_and_closes_an_alert(sender, path, method):
    sent = GRAFANA if path == "grafana" else WEBHOOK
    answer = sender.post(f"/ingest/{path}", sent, method=method)
    assert (answer.status_code, answer.json, stored()) == (200, {}, [("DiskAlmostFull", "open")])
    closed = {**sent["alerts"][0], "status": "resolved", "endsAt": "2026-03-02T09:00:00Z"}
    assert (
        sender.post(f"/ingest/{path}", {**sent, "alerts": [closed]}, method=method).status_code
        == 200
    )
    assert stored() == [("DiskAlmostFull", "closed")]


@pytest.mark.parametrize(
    ("path", "name", "setting"),
    [
        ("alertmanager", "Alertmanager", "max_alerts of the webhook in its configuration"),
        ("grafana", "Grafana", "Max alerts of the contact point"),
    ],
)
def test_alerts_that_a_sender_cut_off_are_logged_and_shown_for_a_day(
    sender, client, monkeypatch, caplog, path, name, setting
):
    sender.post(f"/ingest/{path}", {**WEBHOOK, "truncatedAlerts": 0})
    assert "cut off" not in client.get("/alerts").text + caplog.text
    sender.post(f"/ingest/{path}", {**WEBHOOK, "truncatedAlerts": 1})
    sender.post(f"/t/{sender.token}/ingest/{path}", {"alerts": [], "truncatedAlerts": 1200})
    assert f"{path} cut off 1200 alerts from its message" in caplog.text
    page = client.get("/alerts").text
    assert f"{name} cut off 1,200 alerts from its message of " in page
    assert f"set {setting} to 0." in page
    assert page.count("cut off") == 1
    at = now_ms()
    monkeypatch.setattr("web.deliveries.alert_views.now_ms", lambda: at + 25 * 60 * 60 * 1000)
    assert "cut off" not in client.get("/alerts").text


@pytest.mark.parametrize("value", ["", "x", "9", "9 9 9", "1" * 30 + " 9"])
def test_a_damaged_record_of_a_truncated_message_breaks_no_page(client, value):
    Fact.create(name="truncated by grafana", value=value)
    Fact.create(name="truncated by other", value=f"{now_ms()} 9")
    assert "cut off" not in client.get("/alerts").text


def test_a_truncated_message_is_recorded_only_if_its_alerts_are_stored(sender, monkeypatch):
    monkeypatch.setattr(outbox, "store", failing(OperationalError("database is locked")))
    assert sender.post("/ingest/grafana", {**GRAFANA, "truncatedAlerts": 9}).status_code == 503
    assert not Fact.select().where(Fact.name.startswith("truncated")).exists()


def test_a_webhook_stores_valid_alerts_beside_invalid_ones(sender):
    answer = sender.post("/ingest/grafana", {"alerts": [{"labels": DISK}, {"labels": {}}]})
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert answer.json["detail"].startswith(
        "Some alerts are invalid; the others are stored. alerts[1]: it has no labels"
    )
    assert stored() == [("DiskAlmostFull", "open")]


def test_the_webhook_of_uptrace_opens_and_closes_an_alert(sender):
    assert sender.post("/ingest/uptrace", UPTRACE).json == {}
    alert = {**UPTRACE["alert"], "status": "closed"}
    assert (
        sender.post(
            "/ingest/uptrace", {**UPTRACE, "eventName": "status-changed", "alert": alert}
        ).status_code
        == 200
    )
    assert stored() == [("p99 latency above 800 ms", "closed")]


def test_the_default_content_type_of_curl_is_accepted(sender):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sender.post("/api/v1/alerts", {"name": "Disk full"}, form).status_code == 202


def test_clients_of_alertmanager_get_its_health_and_status(sender):
    for path, words in (("/-/healthy", "Tocsin is Healthy.\n"), ("/-/ready", "Tocsin is Ready.\n")):
        answer = sender.client.get(path)
        assert (answer.status_code, answer.text, answer.mimetype) == (200, words, "text/plain")
    status = sender.client.get("/api/v2/status", headers=sender.headers).json
    assert (status["cluster"], status["config"]) == (
        {"name": "", "status": "disabled", "peers": []},
        {"original": "# Tocsin has channels instead of a configuration file.\n"},
    )
    assert set(status["versionInfo"]) == {
        "version",
        "revision",
        "branch",
        "buildUser",
        "buildDate",
        "goVersion",
    }
    assert status["uptime"].endswith("Z")


def test_readiness_needs_the_database(sender, monkeypatch):
    monkeypatch.setattr(outbox, "oldest_due_age", failing(OperationalError("disk I/O error")))
    assert (
        sender.client.get("/-/ready").status_code,
        sender.client.get("/-/healthy").status_code,
    ) == (503, 200)


# --- authentication ---


@pytest.mark.parametrize("path", POSTS)
def test_a_token_is_accepted_in_the_header_the_password_and_the_path(sender, path, caplog):
    caplog.set_level(logging.DEBUG)
    basic = base64.b64encode(f"anybody:{sender.token}".encode()).decode()
    ways = [
        (path, {}),
        (path, {"Authorization": f"Basic {basic}"}),
        (f"/t/{sender.token}{path}", {"Authorization": ""}),
    ]
    for where, headers in ways:
        assert sender.post(where, POSTS[path], headers).status_code in (200, 202)
    assert len(stored()) == 1
    assert sender.token not in caplog.text


def test_the_status_accepts_a_token_in_the_path(sender):
    assert sender.client.get(f"/t/{sender.token}/api/v2/status").status_code == 200


@pytest.mark.parametrize("path", POSTS)
def test_without_a_valid_token_nothing_is_stored(app, sender, path):
    other = Sender(app, "metrics")
    for where, token, status in (
        (path, other.token, 403),
        (f"/t/{other.token}{path}", "", 403),
        (f"/t/x{path}", "", 401),
    ):
        headers = {
            "Authorization": f"Bearer {token}" if token else "",
            "Content-Type": "application/json",
        }
        answer = sender.client.post(where, data=json.dumps(POSTS[path]), headers=headers)
        v2 = "/api/v2/" in path
        kind = "application/json" if v2 else "application/problem+json"
        assert (answer.status_code, answer.mimetype) == (status, kind)
    assert stored() == []


def test_a_revoked_token_is_refused_at_once(sender):
    assert sender.post("/api/v1/alerts", {"name": "n"}).status_code == 202
    Token.delete().execute()
    assert sender.post("/api/v1/alerts", {"name": "m"}).status_code == 401


def test_a_busy_database_does_not_refuse_a_valid_token(app, config, sender):
    with_lock(
        config, lambda: sender.client.get("/api/v2/status", headers=sender.headers), status=200
    )
    assert Token.get().used_at is None
    sender.client.get("/api/v2/status", headers=sender.headers)
    assert Token.get().used_at is not None
    statement = "SHOW lock_timeout" if ON_POSTGRESQL else "PRAGMA busy_timeout"
    assert db.execute_sql(statement).fetchone()[0] in (5000, "5s")


def with_lock(config, request, status):
    """Send a request while another process writes, and check that it does not wait."""
    with another_writer(config.database):
        began = time.monotonic()
        answer = request()
        took = time.monotonic() - began
    assert (answer.status_code, took < 1) == (status, True)
    return answer


# --- invalid requests ---

NO_JSON = [
    b"",
    b"{",
    b"[1,]",
    b'{"name": NaN}',
    b"[" * 100_000,
    b'{"name": "n"} x',
    b'{"a": ' + b"9" * 5000,
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", NO_JSON)
def test_a_body_that_is_not_json_is_refused(sender, path, body):
    answer = sender.post(path, body)
    v2 = path == "/api/v2/alerts"
    assert (answer.status_code, answer.mimetype) == (
        400,
        "application/json" if v2 else "application/problem+json",
    )
    words = answer.json if v2 else answer.json["detail"]
    assert "JSON" in words or "nested" in words
    assert stored() == []


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "sent",
    [3, None, "text", True, [3], [[]], {"alerts": 3}, {"alert": []}, [None], {"alerts": [None]}],
)
def test_json_of_another_type_is_refused_with_a_message(sender, path, sent):
    answer = sender.post(path, sent)
    words = answer.json if path == "/api/v2/alerts" else answer.json["detail"]
    assert answer.status_code == (400 if path == "/api/v2/alerts" else 422)
    assert len(words) > 15
    assert stored() == []


def test_a_duplicate_member_is_refused_by_the_native_format_only(sender):
    answer = sender.post("/api/v1/alerts", b'{"name": "a", "name": "b"}')
    assert (answer.status_code, "'name' appears twice" in answer.json["detail"]) == (400, True)
    assert (
        sender.post(
            "/api/v2/alerts", b'[{"labels": {"a": "b"}, "labels": {"alertname": "c"}}]'
        ).status_code
        == 200
    )
    assert stored() == [("c", "open")]


def test_invalid_unicode_is_refused_by_the_native_format_and_replaced_by_others(sender):
    assert sender.post("/api/v1/alerts", b'{"name": "\\ud800"}').status_code == 400
    assert sender.post("/api/v1/alerts", b'{"name": "\xff"}').status_code == 400
    assert (
        sender.post("/api/v2/alerts", b'[{"labels": {"alertname": "a\\uD800\\u00e9"}}]').status_code
        == 200
    )
    assert sender.post("/api/v2/alerts", b'[{"labels": {"alertname": "b\xff"}}]').status_code == 200
    assert stored() == [("a?é", "open"), ("b\ufffd", "open")]


def test_the_native_format_is_all_or_nothing(sender):
    answer = sender.post(
        "/api/v1/alerts", [{"name": "good"}, {"name": "bad", "starts_at": "10000-01-01T00:00:00Z"}]
    )
    assert (answer.status_code, stored()) == (422, [])
    assert list(answer.json["errors"]) == ["1.starts_at"]


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_16_mb_is_refused(sender, path):
    assert sender.post(path, b" " * (10 << 20) + json.dumps(POSTS[path]).encode()).status_code in (
        200,
        202,
    )
    answer = sender.post(path, b" " * ((16 << 20) + 1))
    words = answer.json if path == "/api/v2/alerts" else answer.json["detail"]
    assert (answer.status_code, words) == (413, "Send at most 16 MB at a time. Nothing was stored.")


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/ingest/grafana"])
def test_a_hundred_thousand_alerts_are_refused_quickly(sender, path):
    alerts = b"[" + b",".join([b'{"name":"n","labels":{"a":"b"}}'] * 100_000) + b"]"
    began = time.monotonic()
    answer = sender.post(path, alerts if "api" in path else b'{"alerts": ' + alerts + b"}")
    assert (answer.status_code, "at most 10,000" in answer.text, stored()) == (413, True, [])
    assert time.monotonic() - began < 5


def test_an_unsupported_method_is_refused(sender):
    assert sender.client.put("/api/v1/alerts", headers=sender.headers).status_code == 405


# --- idempotency ---


def test_a_repeated_idempotency_key_gets_the_first_response(sender, channel):
    key = {"Idempotency-Key": "k" * 255}
    first = sender.post("/api/v1/alerts", [{"name": "a"}], key)
    again = sender.post("/api/v1/alerts", [{"name": "a"}], key)
    assert (first.status_code, again.status_code, again.data) == (202, 202, first.data)
    assert (Delivery.select().count(), len(first.json["alerts"][0]["deliveries"])) == (1, 1)
    other = sender.post("/api/v1/alerts", [{"name": "b"}], key)
    assert (other.status_code, "another body" in other.json["detail"], len(stored())) == (
        422,
        True,
        1,
    )


def test_an_idempotency_key_belongs_to_its_token(app, sender):
    second = Sender(app, "ingest", "metrics")
    for client, key in ((sender, "1"), (second, "1"), (sender, "2")):
        assert (
            client.post(
                "/api/v1/alerts", {"name": key + client.token}, {"Idempotency-Key": key}
            ).status_code
            == 202
        )
    assert (len(stored()), Receipt.select().count()) == (3, 3)
    assert not [row for row in Receipt.select() if row.key in ("1", "2")]


def test_an_idempotency_key_expires_after_a_day(sender):
    key = {"Idempotency-Key": "k"}
    sender.post("/api/v1/alerts", {"name": "a"}, key)
    Receipt.update(at=Receipt.at - DELIVERY_LIFETIME - 1).execute()
    assert sender.post("/api/v1/alerts", {"name": "b"}, key).status_code == 202
    assert (len(stored()), Receipt.select().count()) == (2, 1)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_of_invalid_length_is_refused(sender, key):
    assert sender.post("/api/v1/alerts", {"name": "a"}, {"Idempotency-Key": key}).status_code == 400
    assert stored() == []


def test_a_failed_request_does_not_use_its_idempotency_key(sender):
    key = {"Idempotency-Key": "k"}
    assert sender.post("/api/v1/alerts", {"name": 3}, key).status_code == 422
    assert sender.post("/api/v1/alerts", {"name": "a"}, key).status_code == 202


def test_concurrent_requests_with_one_idempotency_key_are_stored_once(app, sender, channel):
    answers = []
    begin = threading.Barrier(4)

    def send():
        client = app.test_client()
        begin.wait()
        headers = {**sender.headers, "Idempotency-Key": "k"}
        answers.append(
            client.post("/api/v1/alerts", json=[{"name": "a"}, {"name": "b"}], headers=headers)
        )
        db.close()

    run_threads(send, 4)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.data for answer in answers}) == 1
    assert (Delivery.select().count(), Receipt.select().count()) == (2, 1)


def run_threads(work, count):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


# --- commits ---


@pytest.mark.parametrize("path", POSTS)
def test_the_response_follows_the_commit(app, config, sender, path, monkeypatch):
    other = database_at(config.database)
    seen = []
    true = app.wsgi_app

    def observed(environ, start_response):
        def start(*response):
            seen.append(count(other))
            return start_response(*response)

        return true(environ, start)

    monkeypatch.setattr(app, "wsgi_app", observed)
    assert sender.post(path, POSTS[path]).status_code in (200, 202)
    other.close()
    assert seen == [1]


def count(database):
    return database.execute_sql("SELECT count(*) FROM alert").fetchone()[0]


def failing(error):
    def fail(*_args):
        raise error

    return fail


def of_server(cause):
    """Return an error as peewee raises it for an error of PostgreSQL."""
    error = OperationalError(str(cause))
    error.__context__ = cause
    return error


SQLITE_FAILURES = [
    (OperationalError("database is locked"), "The database is busy"),
    (
        OperationalError("attempt to write a readonly database"),
        "The database tocsin.db cannot be written",
    ),
    (OperationalError("database or disk is full"), "The disk that holds tocsin.db is full"),
    (DatabaseError("database disk image is malformed"), "The database tocsin.db is damaged"),
]
POSTGRESQL_FAILURES = [
    (of_server(errors.LockNotAvailable()), "The database is busy"),
    (of_server(errors.ReadOnlySqlTransaction()), "The database tocsin cannot be written"),
    (of_server(errors.DiskFull()), "The disk of the server that holds tocsin is full"),
    (of_server(errors.AdminShutdown()), "The database tocsin cannot be reached"),
    (of_server(psycopg.OperationalError("/run is gone")), "The database tocsin cannot be reached"),
    (of_server(errors.DataCorrupted()), "The database tocsin cannot be used"),
]
FAILURES = POSTGRESQL_FAILURES if ON_POSTGRESQL else SQLITE_FAILURES
FULL = (outbox.OutboxFull(), "Too many deliveries are waiting.")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("error", "words"), [*FAILURES, FULL])
def test_a_failed_commit_asks_the_sender_to_try_again(
    sender, config, monkeypatch, path, error, words
):
    monkeypatch.setattr(outbox, "store", failing(error))
    answer = sender.post(path, POSTS[path])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    said = answer.json if path == "/api/v2/alerts" else answer.json["detail"]
    assert (said.startswith(words), said.endswith("Nothing was stored: send it again later.")) == (
        True,
        True,
    )
    assert str(config.database) not in answer.text
    monkeypatch.undo()
    assert sender.post(path, POSTS[path]).status_code in (200, 202)


def test_a_locked_database_is_reported_and_nothing_is_lost(sender, config):
    sender.post("/api/v1/alerts", {"name": "first"})
    set_patience(1)
    answer = with_lock(
        config, lambda: sender.post("/api/v1/alerts", {"name": "second"}), status=503
    )
    assert "busy" in answer.json["detail"]
    assert sender.post("/api/v1/alerts", {"name": "second"}).status_code == 202


def test_a_full_outbox_refuses_alerts_until_there_is_room(sender, channel, monkeypatch):
    monkeypatch.setattr(outbox.ingest, "MAX_WAITING", 2)
    monkeypatch.setattr(outbox.ingest, "SECOND", 0)  # counts every time
    statuses = [
        sender.post("/api/v1/alerts", {"name": str(number)}).status_code for number in range(4)
    ]
    assert (statuses, Delivery.select().count()) == ([202, 202, 503, 503], 2)
    Delivery.update(state="delivered").execute()
    assert sender.post("/api/v1/alerts", {"name": "3"}).status_code == 202


def test_an_internal_error_is_not_a_success(sender, monkeypatch):
    monkeypatch.setattr(outbox, "store", failing(ValueError("s3cret")))
    answer = sender.post("/api/v2/alerts", POSTS["/api/v2/alerts"])
    assert (answer.status_code, answer.mimetype, "s3cret" in answer.text) == (
        500,
        "application/json",
        False,
    )


# --- batches ---


def store_together(group, alerts, in_transaction=None):
    """Store each list of alerts from its own thread, all in one batch.

    Return the result or the exception of each.
    """
    results = [None] * len(alerts)
    numbers = itertools.count()

    def store():
        number = next(numbers)
        try:
            results[number] = group.store(
                parse_native(alerts[number], NOW)[0], NOW, in_transaction and in_transaction[number]
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001
            results[number] = error
        db.close()

    group._busy = True
    threads = [threading.Thread(target=store) for _ in alerts]
    for thread in threads:
        thread.start()
    while len(group._queue) < len(alerts):
        threads[0].join(0.001)
    group._queue[0].wakeup.release()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    return results


@pytest.fixture
def group(app):
    with app.app_context():
        return services().batch_writer


@pytest.fixture
def sizes(monkeypatch):
    """Collect the number of requests in each transaction."""
    sizes = []
    true = batch_writer._commit
    monkeypatch.setattr(
        batch_writer, "_commit", lambda posts: (sizes.append(len(posts)), true(posts))
    )
    return sizes


def test_requests_that_arrive_during_a_commit_share_the_next_one(group, sizes):
    results = store_together(
        group, [[{"name": f"{number}-{part}"} for part in range(number)] for number in range(1, 9)]
    )
    assert sizes == [8]
    names = {alert.id: alert.name for alert in Alert.select()}
    for number, result in enumerate(results, 1):
        assert [names[one.id] for one in result] == [f"{number}-{part}" for part in range(number)]


def test_the_error_of_one_request_does_not_fail_the_others(group, sizes):
    fault = [failing(IntegrityError("UNIQUE")) if number == 2 else None for number in range(4)]
    results = store_together(group, [{"name": str(number)} for number in range(4)], fault)
    assert [isinstance(result, IntegrityError) for result in results] == [False, False, True, False]
    assert {alert.name for alert in Alert.select()} == {"0", "1", "3"}
    assert sizes == [4, 1, 1, 1, 1]


@pytest.mark.parametrize("error", [outbox.OutboxFull(), OperationalError("database is locked")])
def test_a_busy_or_full_database_is_tried_once_for_a_batch(group, sizes, monkeypatch, error):
    monkeypatch.setattr(outbox, "store", failing(error))
    assert store_together(group, [{"name": str(number)} for number in range(4)]) == [error] * 4
    assert sizes == [4]


def test_a_batch_is_bounded_but_takes_any_single_request(group, sizes, monkeypatch):
    monkeypatch.setattr(batch_writer, "MAX_BATCH_SIZE", 10)
    results = store_together(
        group, [[{"name": f"{number}-{part}"} for part in range(5)] for number in range(5)]
    )
    assert (sizes, [len(result) for result in results]) == ([2, 2, 1], [5] * 5)
    assert (
        len(group.store(parse_native([{"name": str(number)} for number in range(11)], NOW)[0], NOW))
        == 11
    )


def test_no_request_waits_forever_when_the_writing_thread_ends(group, monkeypatch):
    monkeypatch.setattr(batch_writer, "_commit", failing(SystemExit()))
    results = store_together(group, [{"name": "a"}, {"name": "b"}])
    assert {type(result) for result in results} == {SystemExit, InterfaceError}
    monkeypatch.undo()
    assert len(group.store(parse_native({"name": "c"}, NOW)[0], NOW)) == 1


def test_a_thread_that_ends_while_it_waits_for_the_lock_blocks_no_other(group, monkeypatch):
    monkeypatch.setattr(batch_writer, "file_lock", failing(SystemExit()))
    results = store_together(group, [{"name": "a"}, {"name": "b"}])
    assert {type(result) for result in results} == {SystemExit}
    monkeypatch.undo()
    assert len(group.store(parse_native({"name": "c"}, NOW)[0], NOW)) == 1
    assert stored() == [("c", "open")]


def test_concurrent_threads_get_their_own_results(app, group):
    results = {}

    def post_ten():
        for number in range(10):
            name = f"{threading.current_thread().name}-{number}"  # an ident is used again
            results[name] = group.store(parse_native({"name": name}, NOW)[0], NOW)[0].id
        db.close()

    run_threads(post_ten, 12)
    assert results == {alert.name: alert.id for alert in Alert.select()}
    assert len(results) == 120


def test_the_worker_is_notified_after_each_commit(app, tmp_path):
    seen = []
    group = BatchWriter(tmp_path, lambda: seen.append(Alert.select().count()))
    group.store(parse_native({"name": "a"}, NOW)[0], NOW)
    assert seen == [1]


def test_alerts_are_stored_where_no_lock_file_can_be_created(app, tmp_path):
    group = BatchWriter(tmp_path / "nowhere", lambda: None)
    assert len(group.store(parse_native({"name": "a"}, NOW)[0], NOW)) == 1
