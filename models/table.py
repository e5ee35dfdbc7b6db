"""The database and what all tables share. Times are milliseconds since the epoch, UTC."""

from peewee import DatabaseProxy, Model

db = DatabaseProxy()

MAX_ID = 2**63 - 1


class Table(Model):
    """A table of the database, whose columns refuse values of another type."""

    class Meta:
        database = db
        legacy_table_names = False
        strict_tables = True
