"""Migration 0004 on a database of the previous version, with rows in every state."""

import json
import shutil
from dataclasses import dataclass

import pytest
from attempts import answered, claim_deliveries, result_of
from databases import only_sqlite
from playhouse.migrations import Runner

import database
from clock import DAY, MINUTE, SECOND, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.causes import OPENING_NOT_ARRIVED
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import settle, store
from models import Alert as AlertRow
from models import Channel, Delivery, Notification, db

pytestmark = only_sqlite

NOW = 1_790_000_000_000
OLD_MIGRATIONS = ("0001", "0002", "0003")
SENT = [{"name": "tcp", "milliseconds": 1, "ok": True}, {"name": "sent", "ok": True}]
NOT_SENT = [{"name": "tcp", "milliseconds": 3000, "ok": False}]
TIMEOUT = ("timeout_total", None, SENT)
NO_CONNECTION = ("timeout_connect", None, NOT_SENT)
ERROR_503 = ("http_status", 503, SENT)


@pytest.fixture
def path(tmp_path):
    """Return the path of a database that only the earlier migrations prepared, and open it."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in database.MIGRATIONS.glob("*.py"):
        if file.name.startswith(OLD_MIGRATIONS):
            shutil.copy(file, folder)
    path = tmp_path / "tocsin.db"
    path.touch()
    Runner(database.open_database(path), str(folder)).up()
    yield path
    db.close()


def upgrade(path):
    """Apply the new migration, and open the database again."""
    db.close()
    database.prepare(path)
    db.connect(reuse_if_open=True)


def insert(table, **columns) -> int:
    """Insert a row in plain SQL, and return its id."""
    names = ", ".join(columns)
    values = tuple(columns.values())
    marks = ", ".join("?" * len(values))
    return db.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", values).lastrowid


def channel(name="Team", state="delivering", kind="webhook", **columns) -> int:
    defaults = {
        "settings": "{}",
        "sealed": "",
        "config_hash": "current",
        "origin": "",
        "proof": "unproven",
        "proof_hash": "",
        "version": 1,
        "created_at": NOW - DAY,
        "updated_at": NOW - DAY,
    }
    return insert("channel", name=name, kind=kind, state=state, **{**defaults, **columns})


def alert(status="open", key="k", body=None, **columns) -> int:
    if body is None:
        parts = {"name": "Disk full", "labels": {"severity": "critical"}, "status": status}
        body = json.dumps(parts)
    times = {"changed_at": NOW - MINUTE, "seen_at": NOW - MINUTE}
    return insert(
        "alert", key=key, name="Disk full", status=status, body=body, **{**times, **columns}
    )


def delivery(channel_id, alert_id, state, event="open", tried=(), **columns) -> int:
    """Insert a delivery with its attempts: each a reason, a status and stages."""
    defaults = {
        "repeated": 0,
        "due_at": NOW - MINUTE,
        "expires_at": NOW + DAY,
        "attempts": len(tried),
        "claims": 0,
        "body": None,
        "cause": "",
        "created_at": NOW - MINUTE,
    }
    row = {**defaults, "state": state, "event": event, **columns}
    delivery_id = insert("delivery", channel_id=channel_id, alert_id=alert_id, **row)
    for number, (reason, status, stages) in enumerate(tried, start=1):
        attempt(channel_id, delivery_id, number, reason=reason, status=status, stages=stages)
    return delivery_id


def attempt(channel_id, delivery_id, number, stages=(), config_hash="current", **columns) -> None:
    defaults = {
        "purpose": "delivery",
        "at": NOW - MINUTE,
        "verdict": "retry",
        "actor": "receiver",
        "milliseconds": 5,
        "receiver": "r",
        "excerpt": "",
        "reason": "http_status",
        "status": 503,
    }
    row = {**defaults, **columns, "config_hash": config_hash, "number": number}
    if not isinstance(stages, str):
        stages = json.dumps(stages)
    insert("attempt", channel_id=channel_id, delivery_id=delivery_id, stages=stages, **row)


@dataclass
class Case:
    """What one channel was sent of one alert in the old version.

    `rows` are an event, a state, and optionally attempts and columns. `last` and `told` are
    positions in it.
    """

    status: str
    rows: list[tuple]
    last: int
    told: int | None
    withdrawn: bool = False  # the waiting closing is superseded
    channel_state: str = "delivering"

    def insert(self, number=0) -> list[int]:
        """Insert the rows, and return the ids of the deliveries."""
        channel_id = channel(f"Team {number}", self.channel_state, matchers=f'n="{number}"')
        parts = {"name": "Disk full", "labels": {"n": str(number)}, "status": self.status}
        alert_id = alert(self.status, key=str(number), body=json.dumps(parts))
        ids = []
        for event, state, *rest in self.rows:
            attempts = rest[0] if rest else ()
            columns = dict(rest[1]) if len(rest) > 1 else {}
            if attempts:
                columns.setdefault("body", '{"text": "first body"}')
            if state not in ("pending", "held", "sending"):
                columns["settled_at"] = NOW - MINUTE
            ids.append(delivery(channel_id, alert_id, state, event, attempts, **columns))
        return ids


ARRIVED = ("open", "delivered", [("ok", 200, SENT)])
ALSO_ARRIVED = ("open", "accepted", [("ok", 202, SENT)])
CLOSED = ("closed", "delivered", [("ok", 200, SENT)])
REFUSED = ("open", "failed", [("http_status", 404, SENT)])
UNCERTAIN = ("open", "given_up", [ERROR_503, TIMEOUT])
REPEATED = {"repeated": 1}
BODY = {"body": "{}", "attempts": 1}
CASES = {
    "pending, never attempted": Case("open", [("open", "pending")], 0, None),
    "pending, retried": Case("open", [("open", "pending", [ERROR_503] * 2)], 0, None),
    "pending, may have arrived": Case("open", [("open", "pending", [TIMEOUT])], 0, 0),
    "pending, did not connect": Case("open", [("open", "pending", [NO_CONNECTION])], 0, None),
    "sending": Case("open", [("open", "sending", (), BODY)], 0, 0),
    "sending, crashed while it was built": Case(
        "open", [("open", "sending", (), {"attempts": 1})], 0, None
    ),
    "sending, closed": Case("closed", [("open", "sending", (), BODY), ("closed", "pending")], 1, 0),
    "crashed while it was built, closed": Case(
        "closed", [("open", "sending", (), {"attempts": 1}), ("closed", "pending")], 1, None, True
    ),
    "delivered": Case("open", [ARRIVED], 0, 0),
    "accepted": Case("open", [ALSO_ARRIVED], 0, 0),
    "failed": Case("open", [REFUSED], 0, None),
    "given up, may have arrived": Case("open", [UNCERTAIN], 0, 0),
    "a response cut after its head": Case(
        "open", [("open", "failed", [("connection_closed", 200, SENT)])], 0, 0
    ),
    "parked": Case("open", [("open", "parked", (), {"attempts": 3, "claims": 3})], 0, None),
    "dropped": Case("open", [("open", "dropped")], 0, None),
    "held": Case("open", [("open", "held")], 0, None, channel_state="paused"),
    "held, probed": Case(
        "open", [("open", "held", [ERROR_503] * 3)], 0, None, channel_state="failing"
    ),
    "held, closed": Case(
        "closed",
        [("open", "superseded"), ("closed", "held")],
        1,
        None,
        True,
        channel_state="paused",
    ),
    "failed, closing pending": Case("closed", [REFUSED, ("closed", "pending")], 1, None, True),
    "failed, closing retried": Case(
        "closed", [REFUSED, ("closed", "pending", [ERROR_503])], 1, None, True
    ),
    "superseded, closing pending": Case(
        "closed", [("open", "superseded"), ("closed", "pending")], 1, None, True
    ),
    "delivered, closing pending": Case("closed", [ARRIVED, ("closed", "pending")], 1, 0),
    "delivered, closing sending": Case("closed", [ARRIVED, ("closed", "sending", (), BODY)], 1, 0),
    "delivered, closing held": Case(
        "closed", [ARRIVED, ("closed", "held")], 1, 0, channel_state="paused"
    ),
    "uncertain, closing pending": Case("closed", [UNCERTAIN, ("closed", "pending")], 1, 0),
    "closed": Case("closed", [ARRIVED, CLOSED], 1, None),
    "closing failed": Case(
        "closed", [ARRIVED, ("closed", "failed", [("http_status", 400, SENT)])], 1, 0
    ),
    "opened again": Case("open", [ARRIVED, CLOSED, ("open", "pending")], 2, None),
    "opened again, failed, closing pending": Case(
        "closed", [ARRIVED, CLOSED, REFUSED, ("closed", "pending")], 3, None, True
    ),
    "opened again, silenced": Case("open", [ARRIVED, CLOSED, ("open", "dropped")], 1, None),
    "repeat failed": Case("open", [ARRIVED, (*REFUSED, REPEATED)], 1, 0),
    "repeat arrived": Case("open", [ARRIVED, (*ALSO_ARRIVED, REPEATED)], 1, 1),
    "repeat silenced": Case("open", [ARRIVED, ("open", "dropped", (), REPEATED)], 0, 0),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def rows_of(*tables) -> dict:
    return {table: list(db.execute_sql(f"SELECT * FROM {table}")) for table in tables}


# --- rows ---


@every_case
def test_every_pair_knows_its_last_delivery_and_the_opening_that_arrived(path, case):
    ids = case.insert()
    upgrade(path)
    [notification] = Notification.select()
    assert notification.delivery_id == ids[case.last]
    assert notification.notified_id == (None if case.told is None else ids[case.told])
    assert notification.review_at == (0 if case.status == "open" else None)
    assert (notification.failures, notification.silence_id) == (0, None)
    states = [row.state for row in Delivery.select().order_by(Delivery.id)]
    expected = [row[1] for row in case.rows]
    if case.withdrawn:
        expected[-1] = "superseded"
        last = Delivery.get_by_id(ids[-1])
        assert last.cause == OPENING_NOT_ARRIVED
        assert 0 <= now_ms() - last.settled_at < MINUTE
    assert states == expected


def test_all_pairs_together_are_as_each_of_them_alone(path):
    expected = []
    for number, case in enumerate(CASES.values()):
        ids = case.insert(number)
        expected.append((ids[case.last], None if case.told is None else ids[case.told]))
    upgrade(path)
    rows = Notification.select().order_by(Notification.alert)
    assert [(row.delivery_id, row.notified_id) for row in rows] == expected


def test_an_attempted_delivery_that_waits_takes_steps_and_configuration_from_its_attempts(path):
    here, edited = channel("Here"), channel("Edited", updated_at=NOW)
    alert_id = alert()
    options = {"body": "{}", "tried": [ERROR_503] * 3}
    kept = delivery(here, alert_id, "pending", **options)
    changed = delivery(edited, alert_id, "pending", **options)
    db.execute_sql(
        "UPDATE attempt SET config_hash = 'first' WHERE number = 1 AND delivery_id = ?", (changed,)
    )
    upgrade(path)
    rows = {row.id: (row.retries, row.config_hash) for row in Delivery.select()}
    assert rows == {kept: (3, "current"), changed: (3, "first")}


def test_a_body_of_a_crashed_attempt_is_kept_only_if_the_channel_was_not_edited_since(path):
    here, edited = channel("Here"), channel("Edited", updated_at=NOW)
    alert_id = alert()
    crashed = {"body": "{}", "attempts": 2, "claims": 1}
    kept = delivery(here, alert_id, "pending", **crashed)
    lost = delivery(edited, alert_id, "pending", **crashed)
    for channel_id, delivery_id in ((here, kept), (edited, lost)):
        attempt(channel_id, delivery_id, 2)
    upgrade(path)
    rows = {row.id: (row.retries, row.config_hash) for row in Delivery.select()}
    assert rows == {kept: (1, "current"), lost: (1, "")}


def test_the_probes_of_a_failing_channel_took_no_steps(path):
    failing = channel(state="failing")
    delivery(failing, alert(), "held", tried=[ERROR_503] * 19)
    upgrade(path)
    assert Delivery.get().retries == 0


DAMAGED = ["", "{", "null", "[]", '"text"', "7", '{"labels": 3}', '{"name": {}}', b"\xff{", "{}"]


@pytest.mark.parametrize("body", DAMAGED, ids=repr)
def test_a_damaged_alert_breaks_nothing(path, body):
    if isinstance(body, bytes):
        body = body.decode("latin-1")
    alert_id = alert(body=body)
    delivery(channel(), alert_id, "delivered", tried=[("ok", 200, SENT)])
    delivery(channel("Other"), alert_id, "pending", tried=[ERROR_503])
    upgrade(path)
    assert Notification.select().count() == 2
    outbox.review(NOW)
    assert len(run(NOW)) == 1
    close_all(NOW)
    assert [event for _, event in run(NOW)] == ["closed", "closed"]


@pytest.mark.parametrize("stages", ["", "{", "null", "7", '["sent"]', '[["sent"]]', '{"a": {}}'])
def test_damaged_stages_count_as_not_sent(path, stages):
    channel_id = channel()
    delivery_id = delivery(channel_id, alert(), "pending")
    attempt(channel_id, delivery_id, 1, reason="timeout_total", status=None, stages=stages)
    upgrade(path)
    assert Notification.get().notified_id is None


def test_rows_of_other_tables_stay_as_they_were(path):
    channel_id = channel(kind="alertmanager", repeat_minutes=30, retries="1s, 2s", matchers='a="b"')
    CASES["opened again"].insert(1)
    times = {"created_at": NOW, "until": NOW + DAY}
    insert("silence", matchers='a="b"', reason="work", made_by="ada", **times)
    insert("receipt", key="r", answer="{}", at=NOW)
    insert("fact", name="keys", value="token")
    attempt(channel_id, None, None, purpose="test")
    tables = ("silence", "receipt", "attempt")
    before = rows_of(*tables)
    upgrade(path)
    # Of no group message, and of no version.
    before["attempt"] = [(*row, None, None) for row in before["attempt"]]
    assert rows_of(*tables) == before
    facts = dict(db.execute_sql("SELECT name, value FROM fact"))
    assert facts.keys() == {"keys", "installation", "lab key", "version"}
    assert facts["keys"] == "token"
    row = Channel.get_by_id(channel_id)
    assert (row.repeat_minutes, row.retries, row.probe_at) == (30, "1s, 2s", None)


def test_preparing_an_upgraded_database_again_changes_nothing(path):
    for number, case in enumerate(CASES.values()):
        case.insert(number)
    upgrade(path)
    tables = ("alert", "channel", "delivery", "notification", "attempt", "schema_migration")
    before = rows_of(*tables)
    upgrade(path)
    assert rows_of(*tables) == before


def test_an_interrupted_migration_leaves_the_old_database(path, monkeypatch):
    CASES["delivered"].insert()
    before = rows_of("delivery", "alert")
    db.execute_sql("CREATE TABLE notification (x)")
    db.close()
    with pytest.raises(database.StorageError):
        database.prepare(path)
    db.connect()
    assert rows_of("delivery", "alert") == before
    db.execute_sql("DROP TABLE notification")
    upgrade(path)
    assert Notification.select().count() == 1


# --- the new version at work ---


def run(now) -> list[tuple[int, str]]:
    """Deliver everything due as a worker does; return the alert and the event of each message."""
    sent = []
    while claimed := claim_deliveries(now):
        results = [
            result_of(delivery, answered(), now, config_hash="current", retries=delivery.retries)
            for delivery in claimed
        ]
        settle(results, now)
        sent += [(delivery.alert_id, delivery.event) for delivery in claimed]
    return sent


def begin(now) -> None:
    """Do what a worker does when it begins, and in its first round."""
    outbox.take_over(now)
    outbox.sweep(now)
    outbox.close_overdue(now)
    while outbox.review(now):
        pass


def resume(now) -> None:
    """Resume every channel, as a user does."""
    Channel.update(state="delivering").execute()
    for row in Channel.select():
        outbox.release(row.id, now)


def received(status, number=0) -> ReceivedAlert:
    parts = {"name": "Disk full", "labels": {"n": str(number)}, "status": status}
    return ReceivedAlert(str(number), Alert.from_json(parts))


def close_all(now) -> None:
    for row in list(AlertRow.select().where(AlertRow.status == "open")):
        outbox.close_alert(row.id, now)


def arrived(case) -> list[str]:
    """Return the events of the messages that surely arrived before the upgrade."""
    return [row[0] for row in case.rows if row[1] in ("delivered", "accepted")]


def without_repeats(events) -> list[str]:
    return [event for i, event in enumerate(events) if i == 0 or events[i - 1] != event]


@every_case
def test_after_the_upgrade_nobody_is_told_twice_and_nothing_is_lost(path, case):
    case.insert()
    upgrade(path)
    events = arrived(case)
    may_have_arrived = case.told is not None and case.rows[case.told][1] not in (
        "delivered",
        "accepted",
    )
    begin(NOW)
    resume(NOW)
    new = [event for _, event in run(NOW)]
    # The source repeats the status that it sent last, until the schedule is used up.
    for minutes in (1, 20, 600):
        store([received(case.status)], NOW + minutes * MINUTE)
        later = NOW + minutes * MINUTE + SECOND
        begin(later)
        new += [event for _, event in run(later)]
    told = events + new
    if case.status == "open":
        assert may_have_arrived or without_repeats(told)[-1:] == ["open"]
    elif may_have_arrived:
        assert told[-1] == "closed"
    else:
        assert told[-1:] != ["open"]  # a closing that was refused is sent again too
    assert len(new) <= 1 or (may_have_arrived and new == ["open", "closed"])
    if not may_have_arrived and case.rows[-1][-1] != REPEATED:
        assert told == without_repeats(told)
    # A closing follows exactly if the channel believes that the alert is open.
    store([received("closed")], NOW + DAY)
    closing = [event for _, event in run(NOW + DAY)]
    believes_open = told[-1:] == ["open"] or (may_have_arrived and not new)
    assert closing == (["closed"] if believes_open and case.status == "open" else [])
    # The alert opens again.
    store([received("open")], NOW + DAY + MINUTE)
    assert [event for _, event in run(NOW + DAY + MINUTE)] == ["open"]


def test_all_cases_together_end_with_every_open_alert_told(path):
    for number, case in enumerate(CASES.values()):
        case.insert(number)
    upgrade(path)
    for minutes in (0, 1, 20, 600):
        now = NOW + minutes * MINUTE
        begin(now)
        resume(now)
        run(now)
        alerts = [received(case.status, number) for number, case in enumerate(CASES.values())]
        store(alerts, now + SECOND)
    run(NOW + 601 * MINUTE)
    rows = Notification.select().order_by(Notification.alert)
    told = [row.notified_id is not None for row in rows]
    assert told == [case.status == "open" for case in CASES.values()]
    waiting = Delivery.select().where(Delivery.state.in_(["pending", "held", "sending"]))
    assert waiting.count() == 0


def test_a_retry_after_the_upgrade_keeps_its_id_and_body_under_the_same_configuration(path):
    ids = CASES["pending, retried"].insert()
    upgrade(path)
    begin(NOW)
    [claimed] = claim_deliveries(NOW)
    assert [claimed.id, claimed.body] == [*ids, '{"text": "first body"}']
    assert (claimed.attempt, claimed.retries) == (3, 2)


def test_a_retry_after_the_upgrade_gets_a_new_body_under_another_configuration(path):
    CASES["pending, retried"].insert()
    upgrade(path)
    Channel.update(config_hash="another").execute()
    [claimed] = claim_deliveries(NOW)
    assert claimed.body is None


def test_a_silence_that_dropped_an_opening_holds_it_until_its_end(path):
    CASES["dropped"].insert()
    until = NOW + 10 * MINUTE
    times = {"created_at": NOW - MINUTE, "until": until}
    insert("silence", matchers='n="0"', reason="work", made_by="ada", **times)
    upgrade(path)
    begin(NOW)
    assert run(NOW) == []
    begin(until)
    assert [event for _, event in run(until)] == ["open"]


@pytest.mark.parametrize("kind", ["webhook", "alertmanager"])
def test_a_repeat_interval_holds_after_the_upgrade_though_the_source_posts_no_more(path, kind):
    channel_id = channel(kind=kind, repeat_minutes=30)
    alert_id = alert()
    columns = {"created_at": NOW - 40 * MINUTE, "settled_at": NOW - 40 * MINUTE}
    delivery(channel_id, alert_id, "delivered", tried=[("ok", 200, SENT)], **columns)
    upgrade(path)
    begin(NOW)
    assert run(NOW) == [(alert_id, "open")]
    assert run(NOW) == []
    begin(NOW + 31 * MINUTE)
    assert set(run(NOW + 31 * MINUTE)) == {(alert_id, "open")}


def test_an_overdue_alert_of_a_stopped_old_version_does_not_close_at_the_upgrade(path):
    ids = CASES["delivered"].insert()
    db.execute_sql("UPDATE alert SET closes_at = ?", (NOW - SECOND,))
    upgrade(path)
    begin(NOW)
    outbox.report_listening(NOW)
    begin(NOW)
    assert run(NOW) == []
    assert AlertRow.get().status == "open"
    assert Notification.get().notified_id == ids[0]
    outbox.report_listening(NOW + 2 * MINUTE, max_gap=SECOND)
    begin(NOW + 2 * MINUTE)
    assert [event for _, event in run(NOW + 2 * MINUTE)] == ["closed"]


def test_closed_alerts_do_not_delay_the_first_review_of_open_ones(path):
    channel_id = channel(repeat_minutes=1)
    count = outbox.ingest.MAX_ALERTS_AT_ONCE
    with db.atomic():
        for number in range(count + 100):
            status = "closed" if number < count else "open"
            alert_id = alert(status, key=str(number))
            delivery(channel_id, alert_id, "delivered", created_at=NOW - DAY)
    upgrade(path)
    Notification.update(review_at=0).execute()
    assert outbox.review(NOW) + outbox.review(NOW) == 100
