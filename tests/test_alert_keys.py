"""The keys that vendors know an alert by: one for each opening and each installation."""

import json

import pytest
from attempts import answered, claim_deliveries, result_of

from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.installation import Installation, load_installation
from delivery.message import build
from delivery.outbox import NewBody, settle, store, store_bodies
from delivery.outcome import Reason, Verdict
from delivery.settings import Header, Settings
from models import Channel, Delivery, DeliveryState, Fact, db

NOW = 1_790_000_000_000
HERE = Installation("here")


@pytest.fixture
def channel(app):
    db.connect(reuse_if_open=True)
    return Channel.create(name="C", kind="pagerduty", config_hash="1", created_at=1, updated_at=1)


class Clock:
    def __init__(self):
        self.now = NOW

    def later(self):
        self.now += 60_000
        return self.now


@pytest.fixture
def clock():
    return Clock()


def post(clock, status="open"):
    alert = Alert.from_json({"name": "DiskFull", "status": status})
    store([ReceivedAlert("k", alert)], clock.later())


def deliver(clock, state=DeliveryState.DELIVERED, installation=HERE):
    """Send what is due, and return the keys of the messages; `state` is what becomes of them."""
    keys = []
    for delivery in claim_deliveries(clock.later()):
        body = delivery.body or body_of(delivery, installation)
        store_bodies([NewBody(delivery.id, body, delivery.config_hash)])
        outcome = answered(Verdict.FAILED, Reason.HTTP_STATUS, 400)
        if state == DeliveryState.DELIVERED:
            outcome = answered()
        settle([result_of(delivery, outcome, clock.now, state=state)], clock.now)
        keys.append(json.loads(body)["dedup_key"])
    return keys


def body_of(delivery, installation):
    event = Event(
        delivery.alert,
        delivery.id,
        delivery.created_at,
        bool(delivery.repeated),
        delivery.notified_alert,
        opening=delivery.opening,
    )
    options = (Header("routing_key", "r" * 32, True),)
    settings = Settings(kind="pagerduty", url="https://pd.example.test", options=options)
    return build(settings, event, installation=installation).body.decode()


def test_an_opening_and_its_resolution_have_one_key_and_the_next_opening_another(channel, clock):
    keys = []
    for status in ("open", "closed", "open", "closed"):
        post(clock, status)
        keys += deliver(clock)
    assert len(keys) == 4
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_a_repeated_opening_keeps_the_key(channel, clock):
    Channel.update(repeat_minutes=1).execute()
    post(clock)
    first = deliver(clock)
    post(clock)
    assert deliver(clock) == first


def test_an_incident_whose_resolution_did_not_arrive_is_opened_again_under_its_key(channel, clock):
    post(clock)
    [key] = deliver(clock)
    post(clock, "closed")
    deliver(clock, DeliveryState.FAILED)
    post(clock)
    assert deliver(clock) == [key]
    post(clock, "closed")
    assert deliver(clock) == [key]
    post(clock)
    assert deliver(clock) != [key]


def test_an_opening_that_did_not_arrive_is_sent_again_under_its_key(channel, clock):
    post(clock)
    [key] = deliver(clock, DeliveryState.FAILED)
    clock.now += 3_600_000
    post(clock)
    clock.now += 3_600_000
    assert deliver(clock) == [key]


def test_an_edit_between_two_attempts_keeps_the_key(channel, clock):
    post(clock)
    [key] = deliver(clock, DeliveryState.PENDING)
    Channel.update(config_hash="2").execute()
    assert deliver(clock) == [key]


def test_an_incident_of_an_earlier_version_is_resolved_under_its_old_key(channel, clock):
    post(clock)
    deliver(clock)
    Delivery.update(opening=None).execute()
    post(clock, "closed")
    [key] = deliver(clock)
    assert key == f"tocsin-{Delivery.get().alert_id}"
    post(clock)
    assert deliver(clock) != [key]


def test_two_channels_share_the_key_of_an_opening(channel, clock):
    Channel.create(name="D", kind="pagerduty", config_hash="1", created_at=1, updated_at=1)
    post(clock)
    one, other = deliver(clock)
    assert one == other


def test_two_installations_never_share_a_key(channel, clock):
    alerts = [Alert(id="1", name="x"), Alert(id="1", name="y"), Alert(name="x"), Alert(id="a/b")]
    for alert in alerts:
        for is_test in (False, True):
            event = Event(alert, 1, NOW, is_test=is_test, opening=NOW)
            keys = {AlertText(event, installation=Installation(name)).dedup_key for name in "ab"}
            assert len(keys) == 2
            assert all(len(key) <= 110 for key in keys)


def test_each_database_has_an_id_of_its_own_which_stays(app, config):
    db.connect(reuse_if_open=True)
    stored = Fact.get_by_id("installation").value
    assert len(stored) == 16
    assert load_installation(config).id == stored
    assert load_installation(config).time_zone is None
