"""The database file: migrations, pragmas, damage, and what each failure says."""

import pytest
from channels import create
from peewee import OperationalError, SqliteDatabase

import database
from models import TABLES, db


def schema(database):
    """Tables with their columns and references, and indexes. (A column that was added later has a default, and stands last.)"""

    def ask(words):
        return list(database.execute_sql(words))

    tables = ask(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'schema_migration%'"
    )
    columns = {
        name: sorted(row[1:4] + row[5:6] for row in ask(f"PRAGMA table_info('{name}')"))
        for name, _ in tables
    }
    references = {
        name: sorted(row[2:] for row in ask(f"PRAGMA foreign_key_list('{name}')"))
        for name, _ in tables
    }
    indexes = ask(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'schema_migration%'"
    )
    return sorted(tables), columns, references, sorted(indexes, key=str)


def test_the_migrations_make_exactly_what_the_models_say(tmp_path):
    database.prepare(tmp_path / "migrated.db")
    migrated = SqliteDatabase(str(tmp_path / "migrated.db"))
    modelled = database.open_database(tmp_path / "modelled.db")
    db.create_tables(TABLES)
    assert schema(migrated) == schema(modelled)
    migrated.close()
    modelled.close()


def test_nobody_else_on_the_machine_can_read_the_database(tmp_path):
    database.prepare(tmp_path / "tocsin.db")
    assert (tmp_path / "tocsin.db").stat().st_mode & 0o777 == 0o600


def test_preparing_twice_changes_nothing(tmp_path):
    database.prepare(tmp_path / "tocsin.db")
    database.prepare(tmp_path / "tocsin.db")


def test_every_connection_waits_checks_keys_and_syncs(app):
    found = {
        name: db.execute_sql(f"PRAGMA {name}").fetchone()[0]
        for name in ("busy_timeout", "foreign_keys", "synchronous")
    }
    assert found == {"busy_timeout": 5000, "foreign_keys": 1, "synchronous": 2}
    assert db.execute_sql("PRAGMA journal_mode").fetchone()[0] == (
        "wal" if database.WAL_IS_SAFE else "truncate"
    )


def test_an_unhurried_commit_leaves_the_next_one_in_full(app):
    with database.relaxed_durability():
        assert db.execute_sql("PRAGMA synchronous").fetchone()[0] == (
            1 if database.WAL_IS_SAFE else 2
        )
    assert db.execute_sql("PRAGMA synchronous").fetchone()[0] == 2


def test_a_sqlite_that_may_not_share_its_log_says_so(monkeypatch):
    assert bool(database.journal_notice()) != database.WAL_IS_SAFE
    monkeypatch.setattr(database, "WAL_IS_SAFE", False)
    assert "TRUNCATE" in database.journal_notice()


@pytest.mark.parametrize("damage", [b"nonsense" * 1000, None])
def test_a_damaged_file_is_refused_with_the_way_back(tmp_path, damage):
    path = tmp_path / "tocsin.db"
    database.prepare(path)
    content = bytearray(path.read_bytes())
    content[:] = damage if damage else content[:5000] + b"\xff" * (len(content) - 5000)
    path.write_bytes(content)
    with pytest.raises(database.StorageError, match=r"damaged.*latest copy of tocsin\.db"):
        database.prepare(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("database is locked", "busy"),
        ("attempt to write a readonly database", "read-only"),
        ("database or disk is full", "full"),
        ("database disk image is malformed", "damaged"),
        ("something else", "cannot be used"),
    ],
)
def test_every_failure_of_the_database_has_a_sentence(tmp_path, error, words):
    assert words in database.describe_error(Exception(error), tmp_path / "tocsin.db")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(database.StorageError, match="cannot be used"):
        database.prepare(tmp_path / "missing" / "tocsin.db")


def test_a_text_with_a_flipped_bit_takes_no_page_with_it(client):
    whole, broken = create(client, name="Whole"), create(client, name="Broken")
    db.execute_sql(
        "UPDATE channel SET name = CAST(x'42FF6B' AS TEXT), settings = CAST(x'FF' AS TEXT) WHERE id = ?",
        (broken,),
    )
    listed = client.get("/channels")
    assert (
        listed.status_code,
        "Whole" in listed.text,
        "B\N{REPLACEMENT CHARACTER}k" in listed.text,
    ) == (200, True, True)
    assert [client.get(f"/channels/{one}/edit").status_code for one in (whole, broken)] == [
        200,
        200,
    ]


def test_the_cause_of_a_failed_rollback_is_told_and_not_the_rollback(tmp_path):
    try:
        try:
            raise OperationalError("database or disk is full")
        except OperationalError:
            raise OperationalError("cannot rollback - no transaction is active")  # noqa: B904 (as peewee does)
    except OperationalError as error:
        assert "is full" in database.describe_error(error, tmp_path / "tocsin.db")
