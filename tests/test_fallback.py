"""The fallback of a channel is notified once of its trouble, and once of its end."""

import json

import pytest
from receiver import Receiver, reply
from workers import post, until, work

from clock import MINUTE
from delivery import outbox
from models import Alert as AlertRow
from models import Attempt, Channel, ChannelState, Delivery, Notification

BROKEN = 'to="broken"'
FALLBACK = 'to="fallback"'


class Room:
    """A channel whose receiver is busy, its fallback with another receiver, and the worker."""

    def __init__(self, make, channel, clocks, receiver, fallback_receiver):
        self.clocks = clocks
        self.receiver = receiver
        self.at_fallback = fallback_receiver
        self.fallback = channel(url=fallback_receiver.url, columns={"matchers": FALLBACK})
        self.broken = channel(columns={"matchers": BROKEN, "fallback_id": self.fallback})
        receiver.script = reply(503)
        self.worker = make()

    def post(self, key="k", **parts):
        post(self.clocks, key, labels={"to": "broken"}, **parts)

    def work(self, seconds=0.0):
        """Let the worker come to rest after a time."""
        work(self.worker, self.clocks, seconds)

    def pass_minutes(self, minutes, step=1):
        for _ in range(0, minutes, step):
            self.work(60 * step)

    @property
    def messages(self):
        """The messages to the fallback."""
        return [json.loads(request.body) for request in self.at_fallback.requests]

    @property
    def titles(self):
        return [(one["alert"]["name"], one["alert"]["status"]) for one in self.messages]


NAME = "The channel “C1” is not getting through"


@pytest.fixture
def fallback_receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def room(make, channel, clocks, receiver, fallback_receiver):
    return Room(make, channel, clocks, receiver, fallback_receiver)


def test_the_fallback_is_notified_once_after_ten_minutes_and_once_at_the_end(room):
    room.post()
    room.work()
    assert Channel.get_by_id(room.broken).trouble_since
    room.pass_minutes(9)
    assert room.titles == []
    room.pass_minutes(1)
    assert room.titles == [(NAME, "open")]
    room.pass_minutes(60, step=10)
    assert room.titles == [(NAME, "open")]
    room.receiver.script = reply(200)
    room.pass_minutes(120, step=10)
    assert room.titles == [(NAME, "open"), (NAME, "closed")]
    room.pass_minutes(30, step=10)
    assert len(room.titles) == 2


def test_the_message_says_why_and_how_many_messages_wait(room):
    room.post("a")
    room.post("b")
    room.work()
    room.pass_minutes(10)
    annotations = room.messages[0]["alert"]["annotations"]
    assert "503" in annotations["summary"]
    assert annotations["description"].endswith("UTC. 2 messages wait for the channel.")
    assert room.messages[0]["alert"]["labels"] == {"severity": "critical", "channel": "C1"}


def test_the_message_does_not_wait_for_a_group_of_the_fallback(room):
    columns = {"group_by": "channel", "group_wait": 300}
    Channel.update(**columns).where(Channel.id == room.fallback).execute()
    room.post()
    room.work()
    room.pass_minutes(10)
    assert room.titles == [(NAME, "open")]


def test_a_short_trouble_notifies_nobody(room):
    Channel.update(retries=", ".join(["1m"] * 12)).where(Channel.id == room.broken).execute()
    room.post()
    room.work()
    room.pass_minutes(5)
    room.receiver.script = reply(200)
    room.pass_minutes(2)
    room.pass_minutes(60, step=10)
    assert room.titles == []
    assert AlertRow.select().count() == 1


def test_the_fallback_of_the_fallback_is_not_notified(room, channel):
    third = channel(columns={"matchers": FALLBACK})
    Channel.update(fallback_id=third).where(Channel.id == room.fallback).execute()
    room.post()
    room.work()
    room.pass_minutes(10)
    assert room.titles == [(NAME, "open")]
    assert not Delivery.select().where(Delivery.channel == third).count()


def test_channels_that_are_each_others_fallback_send_no_message_in_a_circle(room):
    Channel.update(fallback_id=room.broken).where(Channel.id == room.fallback).execute()
    room.at_fallback.script = reply(503)
    room.post()
    room.work()
    room.pass_minutes(60, step=10)
    about = Delivery.select().join(AlertRow).where(AlertRow.key.startswith("tocsin:"))
    about = about.order_by(Delivery.id)
    assert [row.channel_id for row in about] == [room.fallback, room.broken]


def test_a_notification_that_did_not_arrive_is_sent_again(room):
    room.at_fallback.script = reply(400)
    room.post()
    room.work()
    room.pass_minutes(10)
    assert len(room.messages) == 1
    room.at_fallback.script = reply(200)
    room.pass_minutes(3)
    assert len(room.messages) == 2
    assert Notification.select().where(Notification.channel == room.fallback).get().notified_id


def test_a_channel_whose_hook_is_gone_is_in_trouble(room):
    room.receiver.script = reply(410)
    room.post()
    room.work()
    room.receiver.script = reply(503)
    room.pass_minutes(11)
    assert room.titles == [(NAME, "open")]


def test_a_paused_channel_is_no_trouble(room):
    room.post()
    room.work()
    Channel.update(state=ChannelState.PAUSED).where(Channel.id == room.broken).execute()
    outbox.hold(room.broken)
    room.pass_minutes(60, step=10)
    assert room.titles == []


@pytest.mark.parametrize("deleted", ["broken", "fallback"])
def test_a_deleted_channel_ends_the_trouble(room, deleted):
    room.post()
    room.work()
    room.pass_minutes(10)
    assert room.titles == [(NAME, "open")]
    outbox.delete_channel(getattr(room, deleted), room.clocks.now)
    room.pass_minutes(3)
    expected = [(NAME, "open"), (NAME, "closed")] if deleted == "broken" else [(NAME, "open")]
    assert room.titles == expected


def test_a_fallback_that_is_chosen_later_is_notified(room):
    Channel.update(fallback_id=None).where(Channel.id == room.broken).execute()
    room.post()
    room.work()
    room.pass_minutes(20, step=5)
    assert room.titles == []
    Channel.update(fallback_id=room.fallback).where(Channel.id == room.broken).execute()
    room.pass_minutes(1)
    assert room.titles == [(NAME, "open")]


def test_the_alert_concerns_no_channel_but_the_fallback(room, channel, client):
    channel(url=room.at_fallback.url, columns={"matchers": "x=y"})
    room.post()
    room.work()
    room.pass_minutes(10)
    about = AlertRow.get(AlertRow.key.startswith("tocsin:"))
    rows = Delivery.select().where(Delivery.alert == about)
    assert [row.channel_id for row in rows] == [room.fallback]
    page = client.get(f"/alerts/{about.id}").text
    assert "Notified: 1 of 1 channel." in page
    assert "goes only to the fallback of that channel" in page
    assert "matchers do not match" not in page


def test_a_channel_that_stops_getting_through_is_shown_as_retrying_at_once(room, client):
    room.post()
    room.work()
    page = client.get("/channels").text
    row = page.split(f'id="channel-{room.broken}"')[1].split(">")[0]
    assert 'data-health="retrying"' in row
    until(room.worker, lambda: Attempt.select().count() == 1)
    assert room.clocks.now - Channel.get_by_id(room.broken).trouble_since < 5 * MINUTE / 60


def test_an_alert_about_a_channel_keeps_its_key_out_of_reach_of_sources(room):
    room.post(key="tocsin:channel:x")
    room.work()
    assert [row.channel_id for row in Delivery.select()] == [room.broken]
