"""The request of an attempt on the page of its delivery."""

import pytest
from attempts import answered, claim_deliveries, result_of
from channels import create, stored_form
from test_deliveries import visible_text

from clock import MINUTE, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import NewBody
from delivery.outcome import Verdict
from models import Channel, ChannelVersion, Delivery, DeliveryState, db

URL = "https://hooks.example.com/services/t0ken-of-the-path"
BODY = '{"what": "was sent"}'


@pytest.fixture
def channel(client):
    db.connect(reuse_if_open=True)
    number = create(client, url=URL, auth="bearer", auth_secret="s3cret-bearer", name="Ops")
    return Channel.get_by_id(number)


def attempt(state=DeliveryState.FAILED, body=None):
    """Store an alert, and one attempt at its delivery."""
    alert = Alert.from_json({"name": "Disk full", "status": "open", "labels": {"host": "db-1"}})
    outbox.store([ReceivedAlert("k", alert)], now_ms())
    [delivery] = claim_deliveries(now_ms() + MINUTE)
    channel = Channel.get()
    if body:
        outbox.store_bodies([NewBody(delivery.id, body, channel.config_hash, False)])
    verdict = Verdict.DELIVERED if state == DeliveryState.DELIVERED else Verdict.FAILED
    columns = {"config_hash": channel.config_hash, "version": channel.version}
    columns["message_id"] = Delivery.get().message_id
    outbox.settle(
        [result_of(delivery, answered(verdict), now_ms(), state=state, **columns)], now_ms()
    )
    return delivery.id


def request_on(page):
    return page.split('id="request"')[1].split("</details>")[0]


def test_the_body_that_was_sent_is_shown_with_masked_secrets(client, channel):
    number = attempt(body=BODY)
    page = client.get(f"/deliveries/msg_{number}").text
    shown = visible_text(request_on(page))
    assert "Request of attempt 1, made by version 1 of the channel" in shown
    for text in ("POST ", "Host: hooks.example.com", f"webhook-id: msg_{number}", BODY, "curl -sS"):
        assert text in shown
    assert "X-Delivery-Attempt: 1" in shown
    assert "is built from the alert" not in shown
    for secret in ("s3cret-bearer", "t0ken-of-the-path"):
        assert secret not in page


def test_a_body_that_is_not_stored_is_built_again_and_that_is_said(client, channel):
    number = attempt(DeliveryState.DELIVERED)
    shown = visible_text(request_on(client.get(f"/deliveries/msg_{number}").text))
    assert "is not kept: this one is built from what is stored now" in shown
    assert '"name":"Disk full"' in shown


def test_the_request_is_that_of_the_version_that_made_the_attempt(client, channel):
    number = attempt(body=BODY)
    form = {**stored_form(client, channel.id), "url": "https://other.example/hook"}
    form["auth_secret"] = "another-bearer"
    assert client.post(f"/channels/{channel.id}", form).status_code == 303
    page = client.get(f"/deliveries/msg_{number}").text
    assert "Host: hooks.example.com" in request_on(page)
    assert f'href="/channels/{channel.id}/history#version-1">version 1</a>' in page
    ChannelVersion.delete().where(ChannelVersion.version == 1).execute()
    page = client.get(f"/deliveries/msg_{number}").text
    assert "is not stored any more" in request_on(page)


def test_a_value_that_became_a_secret_later_is_masked(client, channel):
    form = {**stored_form(client, channel.id), "headers-0-name": "X-Team"}
    form["headers-0-value"] = "was-readable-once"
    assert client.post(f"/channels/{channel.id}", form).status_code == 303
    number = attempt(body=BODY)
    assert "was-readable-once" in client.get(f"/deliveries/msg_{number}").text
    form = {**stored_form(client, channel.id), "headers-0-secret": "y"}
    form["headers-0-value"] = "was-readable-once"
    assert client.post(f"/channels/{channel.id}", form).status_code == 303
    shown = request_on(client.get(f"/deliveries/msg_{number}").text)
    assert "X-Team: ••••" in shown
    assert "was-readable-once" not in shown


def test_the_page_of_a_group_message_shows_its_request(client, channel):
    Channel.update(group_by="host", group_wait=1).execute()
    attempt()
    number = Delivery.get().message_id
    shown = request_on(client.get(f"/deliveries/msg_{number}").text)
    assert f"webhook-id: msg_{number}" in shown
    assert "db-1" in shown


@pytest.mark.parametrize("damage", ["kind", "sealed", "settings"])
def test_a_damaged_channel_breaks_no_page(client, channel, damage):
    number = attempt(body=BODY)
    Channel.update({damage: "?"}).execute()
    Delivery.update(event="?", body="gAAAA?").execute()
    assert client.get(f"/deliveries/msg_{number}").status_code == 200
