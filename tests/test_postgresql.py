"""PostgreSQL: its tables, transactions, wake-ups and error messages."""

import json
import re
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from conftest import Live
from databases import only_postgresql
from peewee import OperationalError, SqliteDatabase
from processes import wait_until
from workers import post, states, until

import database
from config import Config
from database.dialect import is_write, translate
from delivery import outbox
from delivery.queue import heartbeat
from delivery.queue.slots import NumberLost, take_number
from delivery.queue.upkeep import ABANDONED_AFTER, FIRST_ANALYSIS
from models import Alert, Fact, db

pytestmark = only_postgresql


def names_in(rows):
    """Return the names in rows, without the history of migrations."""
    return {row for row in rows if not row[0].startswith("schema_migration")}


def test_both_databases_have_the_same_tables_columns_and_indexes(app):
    folder = Path(tempfile.mkdtemp())
    here = db.obj
    database.prepare(folder / "tocsin.db")
    db.initialize(here)
    sqlite = SqliteDatabase(str(folder / "tocsin.db"))
    columns = []
    for (table,) in sqlite.execute_sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if not table.startswith("sqlite_"):
            for _, name, kind, not_null, *_ in sqlite.execute_sql(f"PRAGMA table_info('{table}')"):
                kind = {"INTEGER": "bigint", "TEXT": "text"}.get(kind, kind)
                columns.append((table, name, kind, bool(not_null)))
    stored = db.execute_sql(
        "SELECT table_name, column_name, data_type, is_nullable = 'NO' "
        "FROM information_schema.columns JOIN information_schema.tables USING (table_name) "
        "WHERE columns.table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    assert names_in(columns) == names_in(stored)
    indexes = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    found = db.execute_sql(
        "SELECT tablename, indexname FROM pg_indexes "
        "WHERE schemaname = 'public' AND right(indexname, 4) <> 'pkey'"
    )
    assert names_in(sqlite.execute_sql(indexes)) == names_in(found)
    sqlite.close()


def test_several_processes_may_create_the_tables_at_once(cluster):
    server = Config.from_env({"TOCSIN_DATABASE_URL": cluster.create("at_once")}).database
    errors = []

    def prepare():
        try:
            database.postgresql.prepare(database.postgresql.database_of(server))
        except database.StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def test_one_transaction_writes_at_a_time(app, config):
    other = database.postgresql.database_of(config.database)
    with (
        other.connection_context(),
        other.atomic(),
        database.without_waiting(),
        pytest.raises(OperationalError, match="lock timeout"),
    ):
        Fact.store("a", "1")
    Fact.store("a", "2")
    assert Fact.get(Fact.name == "a").value == "2"


def test_a_lost_connection_is_replaced(app, config):
    database.connect()
    number = db.execute_sql("SELECT pg_backend_pid()").fetchone()[0]
    other = database.postgresql.database_of(config.database)
    with other.connection_context():
        other.execute_sql("SELECT pg_terminate_backend(CAST(%s AS INTEGER), 5000)", (number,))
    database.connect()
    assert db.execute_sql("SELECT pg_backend_pid()").fetchone()[0] != number


def test_the_id_of_a_deleted_alert_is_not_used_again(app, clocks):
    database.connect()
    post(clocks, "first")
    first = Alert.get().id
    db.execute_sql("DELETE FROM alert")
    post(clocks, "second")
    assert Alert.get().id == first + 1


def test_a_server_that_cannot_be_reached_is_named_without_its_password():
    url = "postgresql://u:s3cret-word@127.0.0.1:1/tocsin?connect_timeout=1"
    server = Config.from_env({"TOCSIN_DATABASE_URL": url}).database
    with pytest.raises(database.StorageError) as refusal:
        database.prepare(server)
    assert str(refusal.value).startswith("The database tocsin at 127.0.0.1:1 cannot be reached: ")
    assert "s3cret-word" not in f"{refusal.value} {server!r}"


def test_a_statement_is_translated_by_its_marks():
    statement = "SELECT /*sqlite*/ a /*end*/ /*postgresql b */ FROM c INDEXED BY d WHERE e = :f"
    assert re.sub(" +", " ", translate(statement)) == "SELECT b FROM c WHERE e = %(f)s"
    assert is_write("\n    UPDATE delivery SET a = 1")
    assert not is_write("SELECT 1")


def test_a_worker_has_the_lowest_free_number_until_its_connection_ends(app, config):
    other = database.postgresql.database_of(config.database)
    with other.connection_context():
        assert other.take_number(0)
        assert other.lead(0)
        assert take_number(0) == 1
        assert not db.lead(1)
    db.free_number(1)
    # The server notices the end of a connection a little later.
    wait_until(lambda: take_number(0) == 0)
    wait_until(lambda: db.lead(0))


def test_a_server_without_a_worker_is_ready_while_a_worker_on_another_machine_leads(client, config):
    heartbeat.lock_path(config.data_dir).unlink()
    there = database.postgresql.database_of(config.database)
    with there.connection_context():
        there.lead(0)
        response = client.get("/readyz")
        assert (response.status_code, response.json["worker_silent_seconds"]) == (200, 0)
    assert client.get("/readyz").status_code == 503
    assert "The worker has not started yet." in client.get("/channels").text


def test_a_leader_has_the_rows_counted_soon_after_its_start(make, channel, clocks):
    channel()
    post(clocks)
    worker = make()
    worker.run_once(0)
    statement = "SELECT reltuples FROM pg_class WHERE relname = 'delivery'"
    assert db.execute_sql(statement).fetchone()[0] < 1
    clocks.move(FIRST_ANALYSIS)
    worker.run_once(0)
    assert db.execute_sql(statement).fetchone()[0] == 1


def test_another_worker_delivers_what_a_dead_one_had_under_way(
    make, channel, clocks, receiver, config
):
    channel()
    post(clocks)
    dead = database.postgresql.database_of(config.database)
    with dead.connection_context():
        assert dead.take_number(7)
        outbox.claim(clocks.now, max_count=1, room={}, sender=7)
        worker = make(take_number(0))
        for _ in range(3):
            worker.run_once(0)
            clocks.move(ABANDONED_AFTER)
        assert states("sending")()
    worker.run_once(0)
    assert states("sending")()
    clocks.move(ABANDONED_AFTER)
    until(worker, states("delivered"))
    assert len(receiver.requests) == 1


def test_a_worker_whose_connection_has_ended_begins_again(make, channel, clocks):
    channel()
    worker = make()
    post(clocks)
    db.close()
    with pytest.raises(NumberLost):
        worker.run_once(0)
    until(make(), states("delivered"))


class Source(threading.Thread):
    """Posts one alert after another, some fifty a second, until it is stopped."""

    def __init__(self, server):
        super().__init__()
        self._url = f"{server.url}/api/v1/alerts"
        self._headers = server.create_token()
        self._stopped = threading.Event()
        self.statuses = []
        self.accepted = []

    def run(self):
        for number in range(2000):
            if self._stopped.wait(0.02):
                return
            name = f"alert {number}"
            response = requests.post(
                self._url, json={"name": name}, headers=self._headers, timeout=20
            )
            self.statuses.append(response.status_code)
            if response.status_code == 202:
                self.accepted.append(name)

    def stop(self):
        self._stopped.set()
        self.join(30)


@pytest.fixture
def source(own_cluster, tmp_path, receiver):
    """Yield the source of alerts of a running Tocsin with a channel and its own PostgreSQL."""
    server = Live(tmp_path, TOCSIN_DATABASE_URL=own_cluster.create("tocsin"))
    server.ready()
    server.create_channel(receiver.url)
    source = Source(server)
    source.start()
    yield source
    source.stop()
    server.stop()


def test_a_crash_of_the_server_loses_no_accepted_alert_and_deliveries_go_on(
    own_cluster, source, receiver
):
    def names():
        return Counter(json.loads(request.body)["alert"]["name"] for request in receiver.requests)

    wait_until(lambda: len(names()) > 50, 20)
    with own_cluster.stopped():
        wait_until(lambda: source.statuses[-1] == 503)
        time.sleep(1)
        before = len(source.accepted)
    returned = set(names())
    wait_until(lambda: set(names()) - returned, 5)
    wait_until(lambda: len(source.accepted) > before + 50, 20)
    source.stop()
    wait_until(lambda: set(source.accepted) <= set(names()), 20)
    assert max(names().values()) <= 2
    assert set(source.statuses) == {202, 503}
