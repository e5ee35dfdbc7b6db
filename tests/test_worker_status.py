"""Every place that says whether a worker delivers: pages, health checks, metrics."""

import os
import time

import pytest
from channels import create

from clock import now_ms
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import store
from delivery.queue import heartbeat
from models import db


@pytest.fixture
def silent(config):
    """Return a function that sets the seconds since the worker's last sign of life."""

    def silent(seconds):
        path = heartbeat.lock_path(config.data_dir)
        if seconds is None:
            path.unlink()
        else:
            then = time.time() - seconds
            os.utime(path, (then, then))

    return silent


@pytest.fixture
def due(client):
    """Return a function that stores a delivery that has been due for some seconds."""

    def due(seconds):
        create(client)
        alert = ReceivedAlert("k", Alert.from_json({"name": "Disk", "status": "open"}))
        store([alert], now_ms() - seconds * 1000)

    return due


def test_a_worker_that_gives_signs_of_life_draws_no_notice(client, silent):
    silent(14)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json["status"] == "ok"
    assert 14 <= response.json["worker_silent_seconds"] < 15
    assert "Nothing is being delivered" not in client.get("/channels").text


@pytest.mark.parametrize("seconds", [16, 3600, None])
def test_a_silent_worker_is_reported_everywhere(client, anonymous, silent, seconds):
    silent(seconds)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "The worker has not" in response.json["status"]
    assert client.get("/-/ready").status_code == 503
    assert client.get("/healthz").status_code == 200
    for path in ("/channels", "/deliveries", "/silences", "/account"):
        assert "Nothing is being delivered" in client.get(path).text
    assert "Nothing is being delivered" not in anonymous.get("/login").text


def test_the_age_of_the_oldest_due_delivery_is_reported(client, silent, due):
    assert client.get("/readyz").json["oldest_due_seconds"] == 0
    silent(60)
    assert "The oldest delivery" not in client.get("/channels").text
    due(300)
    assert 300 <= client.get("/readyz").json["oldest_due_seconds"] < 310
    assert "The oldest delivery was due 5 minutes ago." in client.get("/channels").text


def test_a_delivery_that_is_due_later_is_not_overdue(client, due):
    due(-60)
    assert client.get("/readyz").json["oldest_due_seconds"] == 0


def test_the_notice_needs_no_database(client, silent, due):
    silent(60)
    due(300)
    page = client.get("/channels").text
    assert "was due 5 minutes ago" in page
    db.execute_sql("ALTER TABLE delivery RENAME TO moved")
    try:
        page = client.get("/account").text
        assert "Nothing is being delivered" in page
        assert "was due" not in page
    finally:
        db.execute_sql("ALTER TABLE moved RENAME TO delivery")
