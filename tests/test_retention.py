"""Retention: what goes, what stays, how the file shrinks, and how a channel is deleted."""

import importlib
import re
from contextlib import contextmanager
from itertools import count

import pytest
from attempts import claim_deliveries
from channels import create
from databases import ON_POSTGRESQL, only_sqlite
from peewee import OperationalError

import cli
import database
from clock import DAY, HOUR, MINUTE, now_ms
from delivery import outbox
from delivery.outbox import deletion, retention
from delivery.queue.pruner import PASS_INTERVAL, Pruner
from models import (
    Alert,
    Attempt,
    Channel,
    Delivery,
    DeliveryState,
    Notification,
    Receipt,
    SettledCount,
    Silence,
    db,
)

NOW = 1_790_000_000_000
OLD = NOW - 31 * DAY
RECENT = NOW - DAY // 2
UNSETTLED = ("pending", "held", "sending")
ids = count(1)


@pytest.fixture(autouse=True)
def connected(app):
    db.connect(reuse_if_open=True)


@contextmanager
def closed_database():
    """Let a command open its own connection, as another process would."""
    db.close()
    yield
    db.connect(reuse_if_open=True)


@pytest.fixture
def channel():
    return Channel.create(name="Team", kind="webhook", created_at=1, updated_at=1)


def alert(status="closed", at=OLD):
    key = str(next(ids))
    return Alert.create(key=key, name="A", status=status, body="{}", changed_at=at, seen_at=at)


def delivery(channel, of, state="delivered", at=OLD, **columns):
    row = Delivery.create(
        id=next(ids),
        channel=channel,
        alert=of,
        event="open",
        state="pending",
        due_at=at,
        expires_at=at,
        created_at=at,
        settled_at=None if state in UNSETTLED else at,
        **columns,
    )
    row.state = state
    row.save()
    attempt(channel, at, delivery=row, number=1)
    return row


def attempt(channel, at, purpose="delivery", **columns):
    texts = dict.fromkeys(("config_hash", "verdict", "reason", "actor", "receiver"), "")
    return Attempt.create(
        channel=channel, purpose=purpose, at=at, milliseconds=1, **texts, **columns
    )


def notify(row, notified=None):
    Notification.create(
        alert=row.alert, channel=row.channel, delivery_id=row.id, notified_id=notified
    )


def prune(keep_days=30, keep_deliveries=1000, now=NOW):
    """Prune everything; return the numbers by name, without zeros."""
    found = {}
    for name, number in outbox.prune(now, keep_days, keep_deliveries):
        found[name] = found.get(name, 0) + number
    return {name: number for name, number in found.items() if number}


# --- by age ---


def test_an_old_delivery_goes_with_its_attempts_its_alert_and_its_notification(channel):
    notify(delivery(channel, alert()))
    assert prune() == {"attempts": 1, "deliveries": 1, "alerts": 1}
    for table in (Delivery, Attempt, Alert, Notification):
        assert table.select().count() == 0


def test_nothing_goes_that_is_recent_and_a_second_pass_finds_nothing(channel):
    delivery(channel, alert(at=RECENT), at=RECENT)
    assert prune() == {}
    assert list(outbox.prune(NOW, 30, 1000)) == []


@pytest.mark.parametrize("state", UNSETTLED)
def test_a_delivery_that_has_not_ended_stays_for_ever_but_not_its_old_attempts(channel, state):
    delivery(channel, alert(), state)
    assert prune(keep_deliveries=0) == {"attempts": 1}
    assert Delivery.get().state == state


def test_age_counts_from_the_end_of_a_delivery(channel):
    row = delivery(channel, alert())
    Delivery.update(settled_at=RECENT).where(Delivery.id == row.id).execute()
    assert "deliveries" not in prune()


def test_the_deliveries_that_an_open_alert_points_to_stay_and_the_others_go(channel):
    of = alert("open")
    notified, between, latest, later = [delivery(channel, of) for _ in range(4)]
    notify(latest, notified.id)
    assert prune(keep_deliveries=0)["deliveries"] == 2
    assert [row.id for row in Delivery.select()] == [notified.id, latest.id]
    assert between.id < latest.id < later.id
    assert Notification.select().count() == 1


@pytest.mark.parametrize(
    ("at", "notified", "stays"),
    [
        (NOW - 14 * MINUTE, False, True),  # a late firing does not open it again
        (NOW - HOUR, False, False),
        (NOW - HOUR, True, True),  # its closing is sent again if its source sends it again
        (OLD, True, False),
    ],
)
def test_a_closed_alert_stays_while_it_decides_who_is_notified(channel, at, notified, stays):
    row = delivery(channel, alert(at=at), at=at)
    notify(row, row.id if notified else None)
    prune(keep_deliveries=0)
    assert Alert.select().exists() == Notification.select().exists() == stays


@pytest.mark.parametrize(
    ("status", "at", "stays"),
    [("closed", OLD, False), ("closed", RECENT, True), ("open", OLD, True)],
)
def test_an_alert_without_deliveries_goes_when_it_is_closed_and_old(status, at, stays):
    alert(status, at)
    prune()
    assert Alert.select().exists() == stays


def test_the_id_of_a_deleted_alert_is_not_used_again():
    from delivery.outbox.write_plan import WritePlan

    row = alert()
    prune()
    assert next(WritePlan([], NOW)._alert_ids) == row.id + 1


def test_tests_receipts_and_silences_go_and_the_proof_of_a_channel_stays(channel):
    Channel.update(proof="proven by test", proof_hash="h", config_hash="h", proven_at=OLD).execute()
    attempt(channel, OLD, "test")
    attempt(channel, RECENT, "test")
    times = {"matchers": "a=b", "reason": "r", "made_by": "ada", "created_at": OLD}
    Silence.create(until=OLD, **times)
    Silence.create(until=NOW + DAY, **times)
    for key, at in (("old", NOW - DAY - 1), ("new", NOW - HOUR), ("clock set back", NOW + 2 * DAY)):
        Receipt.create(key=key, answer="", at=at)
    assert prune() == {"attempts": 1, "silences": 1, "responses": 2}
    assert Channel.find(channel.id).proven == "proven by test"
    assert Receipt.get().key == "new"


@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_body_goes_a_day_after_the_delivery_ended_unless_it_may_be_sent_again(channel, state):
    at = NOW - DAY - 1
    delivery(channel, alert("open", at), state, at, body="b")
    delivery(channel, alert("open", at), state, NOW - HOUR, body="b")
    bodies = 1 if state in ("delivered", "accepted", "superseded", "dropped") else 0
    assert prune().get("bodies", 0) == bodies
    stored = [row.body for row in Delivery.select().order_by(Delivery.id)]
    assert stored == [None if bodies else "b", "b"]


# --- by number, and in slices ---


def test_the_oldest_settled_deliveries_beyond_the_number_go(channel, monkeypatch):
    monkeypatch.setattr(retention, "SLICE", 3)
    of = alert(at=RECENT)
    waiting = delivery(channel, of, "held", RECENT)
    rows = [delivery(channel, of, "failed", RECENT + number) for number in range(10)]
    assert prune(keep_deliveries=4) == {"deliveries": 6}
    assert [row.id for row in Delivery.select()] == [waiting.id, *(row.id for row in rows[6:])]


def test_deliveries_that_stay_take_no_place_from_newer_ones(channel):
    for number in range(5):
        notify(delivery(channel, alert("open", RECENT), at=RECENT + number))
    newest = delivery(channel, alert(at=RECENT), at=RECENT + 9)
    assert prune(keep_deliveries=2) == {}
    assert Delivery.get_or_none(Delivery.id == newest.id)


def test_a_slice_is_a_transaction_of_its_own(channel, monkeypatch):
    monkeypatch.setattr(retention, "SLICE", 10)
    for _ in range(35):
        delivery(channel, alert())
    sizes = []
    for name, number in outbox.prune(NOW, 30, 1000):
        assert not db.in_transaction()
        sizes.append((name, number))
    assert max(number for _name, number in sizes) == 10
    assert sum(number for name, number in sizes if name == "deliveries") == 35


def test_settled_deliveries_are_counted_whatever_happens_to_them(channel):
    of = alert()
    rows = [delivery(channel, of, state) for state in (*UNSETTLED, "failed", "failed")]
    Delivery.update(state="delivered").where(Delivery.id == rows[0].id).execute()
    Delivery.update(state="pending").where(Delivery.id == rows[3].id).execute()
    Delivery.update(state="failed").where(Delivery.id == rows[4].id).execute()
    counts = {row.state: row.number for row in SettledCount.select() if row.number}
    assert counts == {"delivered": 1, "failed": 1}
    of.delete_instance()
    assert not any(row.number for row in SettledCount.select())


# --- the worker and the command ---


def test_the_worker_prunes_slice_by_slice_and_rests_between_them(config, channel, monkeypatch):
    monkeypatch.setattr(retention, "SLICE", 10)
    for _ in range(35):
        delivery(channel, alert())
    clock = [100.0]
    pruner = Pruner(config, lambda: clock[0])
    pruner.run_slice(NOW)
    slices = 1
    while pruner.wait < 1:
        left = Delivery.select().count()
        pruner.run_slice(NOW)
        assert Delivery.select().count() == left  # it rests
        clock[0] += pruner.wait
        pruner.run_slice(NOW)
        assert left - Delivery.select().count() <= 10
        slices += 1
    assert slices > 4
    assert Delivery.select().count() == 0
    delivery(channel, alert())
    pruner.run_slice(NOW)
    assert Delivery.select().count() == 1
    clock[0] += PASS_INTERVAL
    for _ in range(9):
        pruner.run_slice(NOW)
        clock[0] += 1
    assert Delivery.select().count() == 0


def test_a_pass_that_fails_is_begun_again(config, monkeypatch):
    alert()
    clock = [100.0]
    pruner = Pruner(config, lambda: clock[0])
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "prune", lambda *_: iter(map(fail, [1])))
        with pytest.raises(OperationalError):
            pruner.run_slice(NOW)
    for _ in range(3):
        clock[0] += PASS_INTERVAL
        pruner.run_slice(NOW)
    assert not Alert.select().exists()


def fail(_):
    raise OperationalError("database is locked")


def run_prune(config, monkeypatch, capsys, *arguments):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))
    with closed_database():
        code = cli.main(["prune", *arguments])
    return code, capsys.readouterr().out


def fill(channel, number):
    at = now_ms() - 5 * DAY
    with db.atomic():
        for _ in range(number):
            delivery(channel, alert(at=at), at=at, body="x" * 4000)


def test_the_command_prunes_what_is_old_and_shrinks_the_file(config, channel, monkeypatch, capsys):
    fill(channel, 300)
    db.finish_shrinking()
    before = db.size
    code, text = run_prune(config, monkeypatch, capsys)
    assert (code, "Deleted: nothing." in text) == (0, False)  # the bodies, which arrived
    code, text = run_prune(config, monkeypatch, capsys, "--days", "3")
    assert code == 0
    assert "300 deliveries" in text
    assert "300 alerts" in text
    if not ON_POSTGRESQL:  # its server keeps the space for new rows
        assert db.size < before / 4
    assert Delivery.select().count() == 0


@pytest.mark.parametrize("days", ["0", "3651", "x"])
def test_the_command_refuses_a_wrong_number_of_days(days):
    assert cli.main(["prune", "--days", days]) == 2


# --- the file ---


@only_sqlite
def test_a_new_file_gives_free_pages_back_in_slices(channel):
    assert db.can_shrink()
    fill(channel, 300)
    Delivery.delete().execute()
    pages = db.execute_sql("PRAGMA page_count").fetchone()[0]
    assert db.shrink()
    assert pages - database.PAGES_AT_ONCE <= db.execute_sql("PRAGMA page_count").fetchone()[0]
    while db.shrink():
        pass
    assert db.execute_sql("PRAGMA page_count").fetchone()[0] < pages / 4


@only_sqlite
@pytest.mark.parametrize("max_bytes", [0, 10**9])
def test_a_file_of_an_earlier_version_is_rewritten_at_the_start_if_it_is_small(
    config, monkeypatch, capsys, max_bytes
):
    db.execute_sql("PRAGMA auto_vacuum = 0")
    db.execute_sql("VACUUM")
    monkeypatch.setattr(database.sqlite, "MAX_REWRITTEN_BYTES", max_bytes)
    with closed_database():
        database.prepare(config.database)
    assert db.can_shrink() == bool(max_bytes)
    run_prune(config, monkeypatch, capsys)
    assert db.can_shrink()


# --- deleting a channel ---


def fill_channel(channel, number=30):
    other = Channel.create(name="Other", kind="webhook", created_at=1, updated_at=1)
    for _ in range(number):
        notify(delivery(channel, alert("open"), "pending"))
        notify(delivery(other, alert("open"), "pending"))


def test_a_deleted_channel_goes_in_slices_and_is_hidden_at_once(client, monkeypatch):
    channel = Channel.get_by_id(create(client))
    monkeypatch.setattr(deletion, "SLICE", 5)
    monkeypatch.setattr(deletion, "MAX_SLICES_AT_ONCE", 2)
    fill_channel(channel)
    shown = Delivery.select(Delivery.id).where(Delivery.channel == channel).order_by(-Delivery.id)
    page = f"/deliveries/msg_{shown.first().id}"
    assert client.get(page).status_code == 200
    assert client.post(f"/channels/{channel.id}/delete").status_code == 303
    assert Delivery.select().where(Delivery.channel == channel).count() == 20  # as after a crash
    assert client.get(f"/channels/{channel.id}/edit").status_code == 404
    assert client.get(page).status_code == 404
    for path in ("/channels", "/deliveries", "/deliveries?state=pending", "/alerts"):
        assert "Team db" not in client.get(path).text.split("is deleted.")[-1], path
    assert create(client) != channel.id  # the name is free
    claimed = claim_deliveries(NOW)
    assert {one.channel_id for one in claimed}.isdisjoint({channel.id})
    row = Channel.get_by_id(channel.id)
    assert (row.sealed, row.settings) == ("", "{}")
    assert prune()["channels"] == 1
    for table in (Delivery, Attempt, Notification):
        assert table.select().where(table.channel == channel.id).count() == 0
    assert Delivery.select().count() == Notification.select().count() == 30


def test_a_deleted_channel_is_no_route_and_makes_no_delivery_due(channel, monkeypatch):
    monkeypatch.setattr(deletion, "MAX_SLICES_AT_ONCE", 0)
    delivery(channel, alert("open"), "pending")
    assert outbox.next_due(NOW) == 0
    outbox.delete_channel(channel.id, NOW)
    assert outbox.next_due(NOW) is None
    assert outbox.routes.read_routes().routes == {}


# --- plans ---

OUTBOX = ("actions", "activity", "catch_up", "claims", "deletion", "drills", "due", "fallback")
OUTBOX += (
    "group_messages",
    "ingest",
    "maintenance",
    "pausing",
    "redelivery",
    "replays",
    "results",
    "retention",
    "silences",
    "takeover",
    "write_plan",
)
# Their cost does not grow with the log: the tables are small, or the walk is a slice of it.
SCANNED = (
    "channel",
    "c",
    "due",
    "u",
    "silence",
    "json_each",
    "s",
    "CONSTANT",
    "part",
    "replay",
)


def statements():
    for module in OUTBOX:
        found = vars(importlib.import_module(f"delivery.outbox.{module}"))
        for name, text in found.items():
            if name.startswith("_") and name.isupper() and isinstance(text, str):
                yield pytest.param(text, id=f"{module}.{name}")


@only_sqlite
@pytest.mark.parametrize("statement", list(statements()))
def test_no_statement_of_the_outbox_scans_the_log(statement):
    values = dict.fromkeys(re.findall(r":([a-z_]+)", statement), "[1]")
    plan = [row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] not in SCANNED]
    is_slice = "ORDER BY id LIMIT" in statement or "settled_count" in statement
    # An index of notifications by channel would cost time at every alert, and only this needs it.
    if statement == deletion._DELETE_CHANNEL:
        scans.remove("SCAN notification")
    assert is_slice or not scans, plan
