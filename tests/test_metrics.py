"""Tests of the metrics: every known series exists, with counts from the database."""

import math
import re

import pytest
from channels import create
from databases import only_sqlite
from programs import run
from prometheus_client.parser import text_string_to_metric_families
from receiver import reply

from clock import DAY, MINUTE, now_ms
from config import VERSION
from delivery import outbox
from delivery.alerts.alert import Alert as Seen
from delivery.alerts.received import ReceivedAlert
from delivery.health import MAX_FAILURES, Health
from delivery.outbox.delays import _DELAYS
from models import Alert, Attempt, Channel, Delivery, GroupMessage, Proof, db
from web.accounts.api_tokens import create_token


@pytest.fixture
def scrape(app):
    """Return a function that scrapes the metrics."""
    with app.app_context():
        _token, secret = create_token("prometheus", ["metrics"], None, "ada", now_ms())
    return lambda: app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}"})


def families(response):
    """Return the metrics of a response by name, as Prometheus parses them."""
    assert response.status_code == 200, response.text
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def samples(response, name):
    """Return the values of a metric by its label values, sorted by label name."""
    return {
        tuple(value for _name, value in sorted(sample.labels.items())): sample.value
        for sample in families(response)[name].samples
    }


def test_metrics_have_the_format_of_prometheus(scrape):
    response = scrape()
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Set-Cookie" not in response.headers
    found = families(response)
    assert {name: family.type for name, family in found.items()} == {
        "tocsin_build_info": "gauge",
        "tocsin_channels": "gauge",
        "tocsin_channel_health": "gauge",
        "tocsin_channel_trouble_seconds": "gauge",
        "tocsin_channel_proven_seconds": "gauge",
        "tocsin_recent_tests": "gauge",
        "tocsin_deliveries": "gauge",
        "tocsin_max_pending_deliveries": "gauge",
        "tocsin_recent_failures": "gauge",
        "tocsin_recent_delay_seconds": "gauge",
        "tocsin_attempts": "counter",
        "tocsin_alerts_without_channel": "counter",
        "tocsin_worker_silent_seconds": "gauge",
        "tocsin_oldest_due_seconds": "gauge",
        "tocsin_heartbeat_seconds": "gauge",
    }
    assert all(re.fullmatch(r"[A-Z].+\.", family.documentation) for family in found.values())


def test_promtool_finds_nothing_to_improve(scrape, client):
    create(client, name="Team db")
    metrics = scrape().text
    assert 'tocsin_channel_trouble_seconds{channel="Team db"} 0.0' in metrics
    run("promtool", "check", "metrics", input=metrics)


def test_build_info_has_the_version(scrape):
    assert samples(scrape(), "tocsin_build_info") == {(VERSION,): 1}


def test_a_series_without_rows_is_zero(scrape):
    channels, tests = samples(scrape(), "tocsin_channels"), samples(scrape(), "tocsin_recent_tests")
    assert (len(channels), len(tests)) == (9, 6)
    assert set(channels.values()) | set(tests.values()) == {0}


def test_channels_are_counted_by_state_and_proof(scrape, client, receiver):
    first, second = create(client, receiver.url, name="One"), create(client, name="Two")
    client.post(f"/channels/{second}/pause")
    client.post(
        f"/channels/{first}/test",
        {"name": "One", "kind": "webhook", "url": receiver.url, "timeout": "5"},
    )
    counted = {
        labels: value for labels, value in samples(scrape(), "tocsin_channels").items() if value
    }
    assert counted == {("proven by test", "delivering"): 1, ("unproven", "paused"): 1}
    Channel.delete().execute()
    assert not any(samples(scrape(), "tocsin_channels").values())


def test_tests_are_counted_by_verdict_for_a_day(scrape, client, receiver):
    form = {"name": "One", "kind": "webhook", "url": receiver.url, "timeout": "5"}
    for status in (200, 404, 404, 503):
        receiver.script = reply(status)
        client.post("/channels/new/test", form)
    counted = {
        labels: value for labels, value in samples(scrape(), "tocsin_recent_tests").items() if value
    }
    assert counted == {("delivered",): 1, ("failed",): 2, ("retry",): 1}
    Attempt.update(at=Attempt.at - 24 * 60 * 60 * 1000 - 1).execute()
    assert not any(samples(scrape(), "tocsin_recent_tests").values())


def test_openings_that_match_no_channel_are_counted(scrape):
    name = "tocsin_alerts_without_channel"
    assert samples(scrape(), name) == {(): 0}
    outbox.store([ReceivedAlert(key, Seen()) for key in ("a", "b", "a")], now_ms())
    text = scrape().text
    assert f"{name}_total 2.0\n" in text
    assert "_created" not in text


def test_an_unknown_state_is_counted_too(scrape, client):
    Channel.update(state='b"r\\o\nken').where(Channel.id == create(client)).execute()
    assert samples(scrape(), "tocsin_channels")["unproven", 'b"r\\o\nken'] == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer tocsin_nonsense"}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
    ],
)
def test_metrics_need_a_token(client, headers, status):
    response = client.get("/metrics", headers=headers)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_metrics_need_the_scope(app):
    with app.app_context():
        _token, secret = create_token(
            "other", ["ingest", "channels:read", "channels:write"], None, "ada", now_ms()
        )
    assert (
        app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code
        == 403
    )


@pytest.fixture
def row(app):
    """Return the columns of a delivery, without its id and state."""
    channel = Channel.create(name="C", kind="webhook", created_at=1, updated_at=1)
    alert = Alert.create(key="k", name="A", status="open", body="{}", changed_at=1, seen_at=1)
    times = {"due_at": 1, "expires_at": 1, "created_at": 1}
    return {"channel": channel, "alert": alert, "event": "open", **times}


def test_failures_of_the_last_hour_are_counted(scrape, row):
    now = now_ms()
    ended = {"failed": (now, now - 59 * MINUTE, now - 61 * MINUTE), "parked": (now,)}
    number = (now - DAY) * 1_000_000
    for state, times in {**ended, "given_up": (now,), "delivered": (now,)}.items():
        for settled_at in times:
            number += 1
            Delivery.create(id=number, state=state, settled_at=settled_at, **row)
    assert samples(scrape(), "tocsin_recent_failures") == {("failed",): 2, ("parked",): 1}


@pytest.fixture
def attempt(row):
    """Return a function that stores a delivery with its attempt; times are ms before now."""
    now = now_ms()

    def attempt(created, at, verdict="delivered", purpose="delivery", message=None, took=0):
        columns = {**row, "created_at": now - created}
        number = (now - created) * 1_000_000 + Delivery.select().count()
        delivery = Delivery.create(id=number, state=verdict, message=message, **columns)
        if at is not None:
            exchange = {"message": message} if message else {"delivery": delivery}
            texts = dict.fromkeys(("config_hash", "reason", "actor", "receiver"), "")
            Attempt.create(
                channel=row["channel"],
                purpose=purpose,
                at=now - at,
                verdict=verdict,
                milliseconds=took,
                **exchange,
                **texts,
            )

    return attempt


def test_without_recent_deliveries_there_is_no_delay(scrape, attempt):
    name = "tocsin_recent_delay_seconds"
    attempt(90 * MINUTE, 61 * MINUTE)
    attempt(2000, 1000, verdict="failed")
    attempt(2000, 1000, purpose="test")
    delays = samples(scrape(), name)
    assert sorted(delays) == [("50",), ("95",), ("99",)]
    assert all(map(math.isnan, delays.values()))


def test_a_delay_lasts_from_the_alert_to_the_success(scrape, attempt):
    for seconds in range(1, 101):
        attempt(created=200_000, at=200_000 - seconds * 1000, took=500)
    assert samples(scrape(), "tocsin_recent_delay_seconds") == {
        ("50",): 50.5,
        ("95",): 95.5,
        ("99",): 99.5,
    }


def test_a_retry_counts_from_the_alert_and_not_from_the_attempt(scrape, attempt):
    attempt(created=30 * MINUTE, at=MINUTE, verdict="accepted")
    assert set(samples(scrape(), "tocsin_recent_delay_seconds").values()) == {29 * 60}


def test_a_group_has_the_delay_of_its_first_alert(scrape, attempt, row):
    message = GroupMessage.create(id=1, channel=row["channel"], content="", created_at=1)
    attempt(created=9000, at=None, message=message)
    attempt(created=30_000, at=None, message=message)
    attempt(created=7000, at=5000, message=message)
    assert set(samples(scrape(), "tocsin_recent_delay_seconds").values()) == {25}


def test_only_the_latest_attempts_are_read_for_the_delays(scrape, attempt, monkeypatch):
    monkeypatch.setattr("delivery.outbox.delays.MAX_ATTEMPTS", 2)
    for seconds in (50, 2, 1):
        attempt(created=60_000, at=60_000 - seconds * 1000)
    assert samples(scrape(), "tocsin_recent_delay_seconds")["99",] == 2


@only_sqlite
def test_the_delays_are_found_by_keys(app):
    with db.connection_context():
        statement = f"EXPLAIN QUERY PLAN {_DELAYS}"
        plan = str(db.execute_sql(statement, {"max_attempts": 9, "since": 0}).fetchall())
    assert "SCAN attempt'" in plan  # the last rows: their order is that of the key
    assert "SEARCH d USING INTEGER PRIMARY KEY" in plan
    assert "delivery_message" in plan
    assert "TEMP B-TREE" not in plan


@only_sqlite
def test_the_failures_of_a_year_are_not_read_to_count_the_recent_ones(scrape, row):
    plans = []
    with db.connection_context():
        execute = db.execute_sql

        def explain(sql, parameters=None):
            if "settled_at" in sql:
                plans.extend(execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall())
            return execute(sql, parameters)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(db.obj, "execute_sql", explain)
            scrape()
    assert "delivery_state (state=? AND rowid>?)" in str(plans)


def test_an_attempt_still_counts_when_it_is_kept_no_longer(scrape, client, receiver):
    form = {"name": "One", "kind": "webhook", "url": receiver.url, "timeout": "5"}
    for number in (1, 2):
        client.post("/channels/new/test", form)
        assert samples(scrape(), "tocsin_attempts") == {(): number}
    Attempt.delete().where(Attempt.id == 1).execute()
    assert samples(scrape(), "tocsin_attempts") == {(): 2}


def test_deliveries_are_counted_by_state(scrape, row):
    for number in (1, 2, 3):
        Delivery.create(id=number, state="pending", **row)
    Delivery.update(state="parked").where(Delivery.id == 3).execute()
    counted = samples(scrape(), "tocsin_deliveries")
    assert len(counted) == 10
    assert {labels: value for labels, value in counted.items() if value} == {
        ("pending",): 2,
        ("parked",): 1,
    }


def test_channels_are_counted_by_health(scrape):
    name = "tocsin_channel_health"
    assert samples(scrape(), name) == {(health.value,): 0 for health in Health}
    rows = [
        {},
        {"attempted_at": 1},
        {"trouble_since": 1},
        {"trouble_since": 1, "failures": MAX_FAILURES},
        {"state": "failing"},
        {"state": "paused"},
    ]
    for number, columns in enumerate(rows):
        Channel.create(name=f"C{number}", kind="", created_at=1, updated_at=1, **columns)
    ones = {(health.value,): 1 for health in Health}
    assert samples(scrape(), name) == {**ones, ("failing",): 2}


def test_the_time_since_the_last_proof_of_each_channel_is_a_series(scrape):
    given = {"kind": "webhook", "created_at": 1, "updated_at": 1, "config_hash": "now"}
    proof = {"proof": Proof.BY_TEST, "proven_at": now_ms() - 90_000}
    Channel.create(name="Proven", proof_hash="now", **proof, **given)
    Channel.create(name="Edited since", proof_hash="before", **proof, **given)
    seconds = samples(scrape(), "tocsin_channel_proven_seconds")
    assert 90 <= seconds[("Proven",)] < 100
    assert math.isnan(seconds[("Edited since",)])


def test_the_length_of_every_trouble_is_a_series(scrape):
    given = {"kind": "webhook", "created_at": 1, "updated_at": 1}
    since = now_ms() - 90_000
    Channel.create(name='Bad "one"', trouble_since=since, **given)
    Channel.create(name="Fine", attempted_at=1, **given)
    Channel.create(name="Paused", trouble_since=since, state="paused", **given)
    seconds = samples(scrape(), "tocsin_channel_trouble_seconds")
    assert 90 <= seconds.pop(('Bad "one"',)) < 100
    assert seconds == {("Fine",): 0, ("Paused",): 0}
