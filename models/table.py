"""The database and what all tables share. Times are milliseconds since the epoch, UTC."""

from typing import Self

from peewee import SQL, DatabaseProxy, Model, ModelIndex, ModelSelect, fn

db = DatabaseProxy()

MAX_ID = 2**63 - 1


class Table(Model):
    """A table of the database, whose columns refuse values of another type."""

    class Meta:
        database = db
        legacy_table_names = False
        strict_tables = True

    @classmethod
    def listed(cls) -> "ModelSelect[Self]":
        """Return all rows of a table with names, ordered by name."""
        return cls.select().order_by(fn.LOWER(SQL("name")), SQL("id"))


def add_partial_index(name: str, model: type[Model], columns: tuple[str, ...], rows: str) -> None:
    """Add an index of some rows: SQLite uses it for queries that repeat the condition."""
    fields = [getattr(model, column) for column in columns]
    model.add_index(ModelIndex(model, fields, where=SQL(f"({rows})"), name=name, safe=False))
