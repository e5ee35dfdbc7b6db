"""The rows of PostgreSQL in a backup, by COPY.

No program of PostgreSQL is needed for that, and no version of one must fit the server's. All tables
are read in one snapshot, which blocks nobody.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from peewee import sort_models  # type: ignore[attr-defined]
from psycopg import sql

from database.postgresql import ServerDatabase, create_tables
from database.schema import runner_of
from models import Table


def tables() -> list[str]:
    """Return the names of all tables, each after those that it refers to."""
    return [model._meta.table_name for model in sort_models(_models(Table))]


def _models(parent: type[Table]) -> list[type[Table]]:
    found = []
    for model in parent.__subclasses__():
        found += [model, *_models(model)]
    return found


def begin_snapshot(database: ServerDatabase) -> Any:
    """Return a new connection that sees the database as it is now; the caller closes it."""
    connection = database.open_connection()
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return connection


def columns_of(connection: Any, table: str) -> list[str]:
    """Return the names of the columns of a table."""
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema AND table_name = %s ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in rows]


def size_of(connection: Any) -> int:
    """Return about how many bytes all tables have."""
    query = "SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class WHERE relname = ANY(%s)"
    return int(connection.execute(query, (tables(),)).fetchone()[0])


def read_table(connection: Any, table: str, columns: list[str]) -> Iterator[bytes]:
    """Yield the rows of a table in the text format of COPY."""
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for piece in copy:
            yield bytes(piece)


def sequences_of(connection: Any) -> dict[str, int]:
    """Return the last value of every sequence that has one."""
    rows = connection.execute(
        "SELECT sequencename, last_value FROM pg_sequences "
        "WHERE schemaname = current_schema AND last_value IS NOT NULL"
    )
    return dict(rows.fetchall())


def is_empty(database: ServerDatabase) -> bool:
    """Return True if a database has no tables."""
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema"
    return not database.execute_sql(query).fetchone()[0]


def load(
    database: ServerDatabase,
    last_step: str,
    columns: dict[str, list[str]],
    pieces_of: Callable[[str], Iterable[bytes]],
    sequences: dict[str, int],
) -> None:
    """Fill an empty database in one transaction, with the schema as it was after a step."""
    with database.atomic():
        create_tables(database)
        runner_of(database).up(last_step)
        for table in reversed(columns):
            database.cursor().execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table, names in columns.items():
            _load_table(database, table, names, pieces_of(table))
        for name, value in sequences.items():
            database.execute_sql("SELECT setval(:name, :value)", {"name": name, "value": value})


def _load_table(
    database: ServerDatabase, table: str, columns: list[str], pieces: Iterable[bytes]
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor = database.cursor()
    with cursor.copy(statement) as copy:
        for piece in pieces:
            copy.write(piece)
