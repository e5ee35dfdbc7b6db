"""The database file: migrations, pragmas, damage, error messages."""

import pytest
from channels import create
from databases import only_sqlite
from peewee import OperationalError, SqliteDatabase

import database
from models import Table, db

pytestmark = only_sqlite


def schema(database):
    """Return the tables, their columns and references, and the indexes.

    Columns are sorted, because a migration adds a column at the end.
    """

    def query(sql):
        return list(database.execute_sql(sql))

    tables = query(
        "SELECT name, strict FROM pragma_table_list "
        "WHERE type = 'table' AND name NOT LIKE 'schema_migration%'"
    )
    columns = {
        name: sorted(row[1:4] + row[5:6] for row in query(f"PRAGMA table_info('{name}')"))
        for name, _ in tables
    }
    references = {
        name: sorted(row[2:] for row in query(f"PRAGMA foreign_key_list('{name}')"))
        for name, _ in tables
    }
    indexes = query(
        "SELECT name, tbl_name, sql FROM sqlite_master "
        "WHERE type = 'index' AND name NOT LIKE 'schema_migration%'"
    )
    return sorted(tables), columns, references, sorted(indexes, key=str)


def test_the_migrations_create_the_schema_of_the_models(tmp_path):
    database.prepare(tmp_path / "migrated.db")
    migrated = SqliteDatabase(str(tmp_path / "migrated.db"))
    (tmp_path / "modelled.db").touch()
    modelled = database.open_database(tmp_path / "modelled.db")
    db.create_tables(Table.__subclasses__())
    assert schema(migrated) == schema(modelled)
    migrated.close()
    modelled.close()


def test_only_its_owner_can_read_the_database(tmp_path):
    database.prepare(tmp_path / "tocsin.db")
    assert (tmp_path / "tocsin.db").stat().st_mode & 0o777 == 0o600


def test_preparing_twice_changes_nothing(tmp_path):
    database.prepare(tmp_path / "tocsin.db")
    database.prepare(tmp_path / "tocsin.db")


def test_every_connection_has_the_pragmas(app):
    pragmas = {
        name: db.execute_sql(f"PRAGMA {name}").fetchone()[0]
        for name in ("busy_timeout", "foreign_keys", "synchronous")
    }
    assert pragmas == {"busy_timeout": 5000, "foreign_keys": 1, "synchronous": 2}
    assert db.execute_sql("PRAGMA journal_mode").fetchone()[0] == (
        "wal" if database.WAL_IS_SAFE else "truncate"
    )


def test_relaxed_durability_ends_with_its_block(app):
    with database.relaxed_durability():
        assert db.execute_sql("PRAGMA synchronous").fetchone()[0] == (
            1 if database.WAL_IS_SAFE else 2
        )
    assert db.execute_sql("PRAGMA synchronous").fetchone()[0] == 2


def test_an_unsafe_sqlite_version_is_reported(monkeypatch):
    assert bool(database.journal_notice()) != database.WAL_IS_SAFE
    monkeypatch.setattr(database.sqlite, "WAL_IS_SAFE", False)
    assert "TRUNCATE" in database.journal_notice()


@pytest.mark.parametrize("damage", [b"nonsense" * 1000, None])
def test_a_damaged_file_is_refused_with_restore_instructions(tmp_path, damage):
    path = tmp_path / "tocsin.db"
    database.prepare(path)
    content = bytearray(path.read_bytes())
    content[:] = damage if damage else content[:5000] + b"\xff" * (len(content) - 5000)
    path.write_bytes(content)
    with pytest.raises(database.StorageError, match=r"damaged.*latest copy of tocsin\.db"):
        database.prepare(path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("database is locked", "busy"),
        ("attempt to write a readonly database", "read-only"),
        ("database or disk is full", "full"),
        ("database disk image is malformed", "damaged"),
        ("something else", "cannot be used"),
    ],
)
def test_every_failure_of_the_database_has_a_sentence(tmp_path, error, message):
    assert message in database.describe_error(Exception(error), tmp_path / "tocsin.db")


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(database.StorageError, match="cannot be used"):
        database.prepare(tmp_path / "missing" / "tocsin.db")


def test_a_damaged_text_does_not_break_a_page(client):
    whole = create(client, name="Whole")
    broken = create(client, name="Broken")
    db.execute_sql(
        "UPDATE channel SET name = CAST(x'42FF6B' AS TEXT), settings = CAST(x'FF' AS TEXT) "
        "WHERE id = ?",
        (broken,),
    )
    listed = client.get("/channels")
    assert (
        listed.status_code,
        "Whole" in listed.text,
        "B\N{REPLACEMENT CHARACTER}k" in listed.text,
    ) == (200, True, True)
    assert [client.get(f"/channels/{number}/edit").status_code for number in (whole, broken)] == [
        200,
        200,
    ]


def test_the_cause_of_a_failed_rollback_is_reported_instead_of_the_rollback(tmp_path):
    try:
        try:
            raise OperationalError("database or disk is full")
        except OperationalError:
            # peewee raises it like this.
            raise OperationalError("cannot rollback - no transaction is active")  # noqa: B904
    except OperationalError as error:
        assert "is full" in database.describe_error(error, tmp_path / "tocsin.db")
