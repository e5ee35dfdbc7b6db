"""The database and what all tables share. Times are milliseconds since the epoch, UTC."""

from typing import Self

from peewee import SQL, DatabaseProxy, Model, ModelSelect

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
        return cls.select().order_by(SQL("name COLLATE NOCASE"), SQL("id"))
