"""What was received: posts of alerts that may be repeated, and requests to the lab."""

from peewee import BigIntegerField, IntegerField, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.table import Table


class Receipt(Table):
    """The response to a post of alerts, by the hash of its `Idempotency-Key`."""

    key = TextField(primary_key=True)
    answer = TextField()
    at = BigIntegerField(index=True)


class LabRequest(Table):
    """A request that the lab received."""

    id = AutoIncrementField()
    at = BigIntegerField()
    method = TextField()
    headers = TextField()
    body = TextField()
    answered = IntegerField()
