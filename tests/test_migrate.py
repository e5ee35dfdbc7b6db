"""Steps of the schema: a newer database is refused, and the last step can be taken back."""

from collections import namedtuple

import pytest
from databases import ON_POSTGRESQL

import cli
import database
from config import VERSION
from database import schema
from database.errors import StorageError
from locks import file_lock
from models import Fact, db

Ran = namedtuple("Ran", "code out err")


@pytest.fixture
def run(config, monkeypatch, capsys):
    """Return a function that runs the command."""
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))

    def run(*arguments):
        return Ran(cli.main(list(arguments)), *capsys.readouterr())

    return run


@pytest.fixture
def opened(config):
    """Open the database of the test."""
    database.open_database(config.database)
    db.connect()
    yield db
    if not db.is_closed():
        db.close()


def add_step(name="9913_future"):
    db.execute_sql(
        "INSERT INTO schema_migration (name, applied) VALUES (:name, '2030-01-01')", {"name": name}
    )
    Fact.store("version", "7.8.9")


def test_a_newer_database_is_refused_in_words_that_name_both_versions(config, opened, run):
    add_step()
    db.close()
    with pytest.raises(StorageError) as refused:
        database.prepare(config.database)
    last = schema.known_steps()[-1]
    for part in ("7.8.9", "9913_future", VERSION, last, "migrate --back", "restore a backup"):
        assert part in str(refused.value)
    ran = run("user", "list")
    assert (ran.code, "newer version" in ran.err) == (2, True)


def test_the_version_that_made_the_last_step_is_stored(opened):
    assert Fact.get_by_id("version").value == VERSION


def test_every_step_from_the_last_released_one_on_can_be_taken_back(config, opened):
    for name in reversed([name for name in schema.known_steps() if name >= "0013"]):
        before = {table: [one.name for one in db.get_columns(table)] for table in db.get_tables()}
        assert schema.check_reversible(db, "here") == name
        schema.take_back(db)
        assert name not in schema.applied_steps(db)
        schema.runner_of(db).up(name)
        after = {table: [one.name for one in db.get_columns(table)] for table in db.get_tables()}
        assert after == before
        schema.take_back(db)


def test_a_step_is_taken_back_after_a_backup_and_made_again(config, run):
    last = schema.known_steps()[-1]
    ran = run("migrate", "--back")
    assert (ran.code, f"{last} is taken back" in ran.out) == (0, True), ran.err
    assert len(list(config.data_dir.glob(f"before-{last}-*Z.zip"))) == 1
    assert f"{last:32}  not applied" in run("migrate", "--list").out
    assert f"at step {last}." in run("migrate").out
    assert f"{last:32}  applied" in run("migrate", "--list").out


def test_a_step_that_has_replaced_data_is_not_taken_back(config, opened, run):
    while schema.applied_steps(db)[-1] >= "0013":
        schema.take_back(db)
    db.close()
    ran = run("migrate", "--back")
    assert (ran.code, "0011_lab cannot be taken back" in ran.err) == (2, True)
    assert list(config.data_dir.glob("*.zip")) == []


def test_nothing_is_taken_back_while_tocsin_runs(config, run):
    with file_lock(config.data_dir / "worker.lock"):
        ran = run("migrate", "--back")
    assert (ran.code, "Stop it first" in ran.err) == (1, True)


def test_the_list_names_steps_of_a_newer_version(config, opened, run):
    add_step()
    db.close()
    assert "applied by a newer version" in run("migrate", "--list").out
    if not ON_POSTGRESQL:
        config.database.unlink()
        assert f"{schema.known_steps()[0]:32}  not applied" in run("migrate", "--list").out
        assert not config.database.exists()
