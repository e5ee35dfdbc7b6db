"""Run the statements of the outbox.

They are written out as SQL, with named parameters, and use tuples: peewee takes longer to build a
query or a model than SQLite to run it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from models import DeliveryState, db

# An index that has the state before the id finds a newer delivery state by state.
NOT_DROPPED = tuple(state for state in DeliveryState if state != DeliveryState.DROPPED)
MAX_ROWS = 64  # of one statement


def execute(statement: str, **parameters: Any) -> Any:
    """Run a statement with named parameters, and return its cursor."""
    return db.execute_sql(statement, parameters)


def execute_sliced(statement: str, **parameters: Any) -> Iterator[int]:
    """Run a statement that changes a slice of its rows until none is left; yield each number."""
    while count := execute(statement, **parameters).rowcount:
        yield count


def execute_many(statement: str, parameters: Iterable[Any]) -> None:
    """Run a statement once for each mapping of parameters."""
    db.execute_many(statement, parameters)


def insert_rows(statement: str, row: str, rows: Sequence[tuple]) -> None:
    """Insert rows, many with each statement, which is faster than one statement for each row.

    The `{rows}` of the statement are replaced by copies of `row`, which has a `?` for each value of
    a tuple. No two rows may conflict with each other.
    """
    start = 0
    while start < len(rows):
        # Powers of two: few different statements, which SQLite does not have to prepare again.
        size = 1 << min(len(rows) - start, MAX_ROWS).bit_length() - 1
        values = tuple(chain.from_iterable(rows[start : start + size]))
        db.execute_sql(_with_rows(statement, row, size, db.param), values)
        start += size


@lru_cache(maxsize=128)
def _with_rows(statement: str, row: str, size: int, placeholder: str) -> str:
    rows = ", ".join([row.replace("?", placeholder)] * size)
    return statement.replace("{rows}", rows)
