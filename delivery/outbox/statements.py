"""Run the statements of the outbox.

They are written out as SQL, with named parameters, and use tuples: peewee takes longer to build a
query or a model than SQLite to run it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from models import DeliveryState, db

# An index that has the state before the id finds a newer delivery state by state.
NOT_DROPPED = tuple(state for state in DeliveryState if state != DeliveryState.DROPPED)


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
