"""Run the statements of the outbox.

The frequent ones are written out as SQL, with named parameters, and use tuples: peewee takes
longer to build a query or a model than SQLite to run it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import peewee

from models import Delivery, DeliveryState, db


def execute_many(statement: str, parameters: Iterable[Mapping[str, Any]]) -> None:
    """Run a statement once for each mapping of parameters.

    peewee has no `executemany`. The errors are peewee's all the same.
    """
    with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
        db.connection().executemany(statement, parameters)


def update_deliveries(states: Iterable[DeliveryState], *conditions: Any, **columns: Any) -> int:
    """Update the deliveries in one of the states that meet all conditions; return how many."""
    return Delivery.update(**columns).where(Delivery.state.in_(states), *conditions).execute()
