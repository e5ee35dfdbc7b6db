"""Fire drills: when a channel has one, what it says, and what its result changes."""

import json

import pytest
from alert_samples import INSTALLATION
from channels import create, form_of, stored_form
from kind_support import VENDOR_KINDS, channel_of
from playhouse.migrations import Runner
from receiver import reply

import database
from clock import DAY, HOUR, MINUTE, SECOND, now_ms
from delivery import outbox
from delivery.alerts.samples import drill_alert
from delivery.channel_test import sample_event
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.message import write_body
from delivery.outbox.drills import MAX_JITTER, next_drill
from models import Attempt, Channel, ChannelState, db

NOW = 1_790_000_000_000
WEEK = 7 * DAY
DUE = {"drill_days": 7, "drill_at": NOW - SECOND}


class DrillRoom:
    """A worker whose drills are sent at once in its own thread."""

    def __init__(self, make, clocks):
        self.clocks = clocks
        self.worker = make()
        self.worker._upkeep.errands.drills.run_task = lambda task: task()

    def pass_seconds(self, seconds, step=10):
        for _ in range(0, seconds, step):
            self.clocks.move(step)
            self.worker.run_once(0)

    def run(self):
        """Let a drill that is due be sent, and its result be stored."""
        self.pass_seconds(20)


@pytest.fixture
def room(make, clocks):
    return DrillRoom(make, clocks)


def sent(receiver):
    """Return the names and states of the alerts that the receiver got."""
    alerts = [json.loads(request.body)["alert"] for request in receiver.requests]
    return [(alert["name"], alert["status"]) for alert in alerts]


def test_a_channel_is_proven_by_a_message_that_says_that_it_is_a_drill(room, channel, receiver):
    number = channel(columns=DUE)
    room.run()
    [request] = receiver.requests
    assert b"Fire drill from Tocsin" in request.body
    assert b"nothing is wrong, and no action is needed" in request.body
    row = Channel.get_by_id(number)
    assert (row.proven, row.proven_at) == ("proven by test", NOW + 10 * SECOND)
    assert abs(row.drill_at - (DUE["drill_at"] + WEEK)) <= MAX_JITTER
    [attempt] = Attempt.select()
    assert (attempt.purpose, attempt.verdict, attempt.version) == ("drill", "delivered", 1)
    assert attempt.delivery_id is None


def test_the_next_drill_is_an_interval_later_also_after_a_restart(room, channel, receiver, make):
    channel(columns=DUE)
    room.run()
    room.pass_seconds(600, step=60)
    DrillRoom(make, room.clocks).run()
    assert len(receiver.requests) == 1
    room.clocks.move(WEEK / 1000)
    room.run()
    assert len(receiver.requests) == 2


def test_a_drill_that_a_worker_did_not_finish_is_sent_again_after_an_hour(room, channel, receiver):
    channel(columns=DUE)
    assert outbox.claim_drill(room.clocks.now)  # by a worker that ends here
    room.pass_seconds(HOUR // 1000 - 60, step=60)
    assert not receiver.requests
    room.pass_seconds(120)
    assert len(receiver.requests) == 1


def test_a_drill_is_claimed_once(room, channel):
    number = channel(columns=DUE)
    assert outbox.claim_drill(NOW) == (number, DUE["drill_at"])
    assert outbox.claim_drill(NOW) is None


def test_a_channel_that_is_new_or_was_planned_by_a_wrong_clock_gets_a_time(room, channel, receiver):
    for drill_at in (None, NOW + 1000 * DAY):
        channel(columns={"drill_days": 7, "drill_at": drill_at})
    room.run()
    assert not receiver.requests
    for row in Channel.select():
        assert abs(row.drill_at - (NOW + WEEK)) <= MAX_JITTER + MINUTE


@pytest.mark.parametrize(
    "columns",
    [
        {"state": ChannelState.PAUSED},
        {"state": ChannelState.FAILING},
        {"deleted_at": 1},
        {"drill_days": 0},
        {"drill_at": NOW + HOUR},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_such_a_channel_has_no_drill(room, channel, receiver, columns):
    channel(columns={**DUE, **columns})
    room.run()
    assert not receiver.requests


def test_drills_that_are_late_after_a_stop_are_sent_one_after_another(room, channel, receiver):
    for number in range(5):
        channel(columns={"drill_days": 1, "drill_at": NOW - number * DAY})
    room.pass_seconds(20)
    assert len(receiver.requests) == 2
    room.pass_seconds(600)
    assert len(receiver.requests) == 5
    assert all(row.drill_at > room.clocks.now for row in Channel.select())


def test_a_drill_that_fails_is_trouble_until_one_succeeds(room, channel, receiver, caplog):
    number = channel(columns=DUE)
    receiver.script = reply(503)
    room.run()
    row = Channel.get_by_id(number)
    assert (row.drill_failures, row.proven) == (1, "unproven")
    assert row.trouble_since == NOW + 10 * SECOND
    assert "503" in row.trouble
    [line] = caplog.records
    assert line.getMessage() == f"a fire drill failed: {row.trouble}"
    assert (line.channel_id, line.reason) == (number, "http_status")
    receiver.script = reply(200)
    room.pass_seconds(90)
    row = Channel.get_by_id(number)
    assert (row.trouble_since, row.drill_failures, row.proven) == (None, 0, "proven by test")
    assert [one.verdict for one in Attempt.select()] == ["retry", "delivered"]


def test_the_text_of_the_trouble_names_the_next_drill(room, channel, receiver, client):
    number = channel(columns=DUE)
    receiver.script = reply(503)
    room.run()
    Channel.update(drill_at=now_ms() + 5 * MINUTE).execute()
    words = "The next attempt is the next alert, or a fire drill in 5 min."
    assert words in client.get(f"/channels/{number}/edit").text


def test_a_drill_that_keeps_failing_is_tried_after_1_and_5_minutes_and_then_daily(
    room, channel, receiver
):
    number = channel(columns=DUE)
    receiver.script = reply(500)
    waits = []
    for _ in range(4):
        room.run()
        at = Attempt.select().order_by(Attempt.id.desc()).first().at
        waits.append(round((Channel.get_by_id(number).drill_at - at) / MINUTE))
        room.clocks.move((Channel.get_by_id(number).drill_at - room.clocks.now) / 1000)
    assert waits == [1, 5, 24 * 60, 24 * 60]


def test_a_drill_makes_a_channel_failing_whose_hook_is_gone(room, channel, receiver):
    number = channel(columns=DUE)
    receiver.script = reply(410)
    room.run()
    assert Channel.get_by_id(number).state == ChannelState.FAILING


def test_a_drill_closes_the_incident_that_it_opened(room, channel, receiver):
    channel(kind="alertmanager", columns=DUE)
    room.run()
    alerts = [json.loads(request.body)[0] for request in receiver.requests]
    assert {alert["labels"]["alertname"] for alert in alerts} == {"Fire drill from Tocsin"}


def test_a_drill_whose_closing_fails_has_failed(room, channel, receiver):
    number = channel(
        kind="opsgenie", auth="header", auth_username="Authorization", auth_secret="GenieKey k",
        columns=DUE,
    )  # fmt: skip
    answers = iter([reply(202, b'{"requestId": "43a29c5c"}'), reply(500)])
    receiver.script = lambda *given: next(answers)(*given)
    room.run()
    assert len(receiver.requests) == 2
    assert "still open" in Channel.get_by_id(number).trouble


def test_a_channel_that_cannot_be_decrypted_fails_its_drill(room, channel, receiver):
    number = channel(columns=DUE)
    Channel.update(sealed="damaged").where(Channel.id == number).execute()
    room.run()
    assert not receiver.requests
    assert "cannot be decrypted" in Channel.get_by_id(number).trouble


def test_a_result_counts_for_nothing_once_the_channel_has_another_configuration(
    room, channel, receiver
):
    number = channel(columns=DUE)
    room.pass_seconds(10)
    Channel.update(config_hash="other").where(Channel.id == number).execute()
    room.pass_seconds(10)
    assert len(receiver.requests) == 1
    assert Attempt.select().count() == 0
    assert Channel.get_by_id(number).drill_at == NOW + 10 * SECOND + HOUR


@pytest.mark.parametrize(
    ("late", "intervals"),
    [(0, 1), (HOUR, 1), (WEEK - 1, 1), (WEEK, 2), (30 * DAY, 5), (-HOUR, 1)],
)
def test_the_next_drill_is_at_the_same_time_of_the_day_and_never_in_the_past(late, intervals):
    for random in (0, 0.5, 0.999):
        drill_at = next_drill(NOW, 7, NOW + late, random)
        assert abs(drill_at - (NOW + intervals * WEEK)) <= MAX_JITTER


def test_another_interval_plans_the_drill_again_and_no_other_save_does(client):
    channel_id = create(client, drill="7")
    planned = NOW + DAY
    Channel.update(drill_at=planned, drill_failures=2).execute()
    form = {**stored_form(client, channel_id), "name": "Other"}
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    assert (Channel.get().drill_days, Channel.get().drill_at) == (7, planned)
    form = {**stored_form(client, channel_id), "drill": "14"}
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    row = Channel.get()
    assert (row.drill_days, row.drill_at, row.drill_failures) == (14, None, 0)
    client.post(f"/channels/{channel_id}/duplicate")
    copy = Channel.get(Channel.id != channel_id)
    assert (copy.drill_days, copy.drill_at) == (14, None)


def test_a_form_without_the_field_has_no_drills(client):
    create(client, drill="7")
    assert client.post("/channels/1", form_of(version="1")).status_code == 303
    assert Channel.get().drill_days == 0


def test_list_and_editor_say_when_a_channel_was_last_proven_and_show_its_drills(
    client, room, channel
):
    number = channel(columns=DUE)
    room.run()
    Channel.update(proven_at=Channel.proven_at - 12 * DAY).execute()
    editor = client.get(f"/channels/{number}/edit").text
    assert "last proven <time" in client.get("/channels").text
    assert "last proven <time" in editor
    assert "Fire drill: <span" in editor
    assert "next fire drill" in editor


def test_the_migration_can_be_taken_back(room, channel, receiver):
    channel(columns=DUE)
    room.run()
    runner = Runner(db.obj, str(database.MIGRATIONS))
    runner.down("0014_drills")
    assert not {row.name for row in db.get_columns("channel")} & {"drill_days", "drill_at"}
    assert db.execute_sql("SELECT count(*) FROM attempt").fetchone()[0] == 0
    runner.up()
    assert Channel.get().drill_days == 0


@pytest.mark.parametrize("kind", [*VENDOR_KINDS, "webhook", "alertmanager"])
@pytest.mark.parametrize("in_group", [False, True], ids=["alone", "group"])
def test_the_message_of_every_kind_says_that_it_is_a_drill(kind, in_group):
    settings = channel_of(kind)
    event = sample_event("", drill_alert)
    text = AlertText(event, settings, INSTALLATION)
    if in_group:
        text = text_of_group([event], "key", settings, INSTALLATION)
    assert "Fire drill from Tocsin" in write_body(text)
