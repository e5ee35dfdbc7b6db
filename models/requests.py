"""What was received: posts of alerts that may be repeated, and requests to the lab."""

from peewee import BigIntegerField, ForeignKeyField, IntegerField, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.table import Table


class Receipt(Table):
    """The response to a post of alerts, by the hash of its `Idempotency-Key`."""

    key = TextField(primary_key=True)
    answer = TextField()
    at = BigIntegerField(index=True)


class LabReceiver(Table):
    """A receiver of the lab.

    `path` is the random part of its address. It sends `responses` (names, separated by commas) in
    turn; `served` counts the requests since they were chosen. After the last one it starts over if
    `restarts`, and otherwise repeats it. `sealed` is the signing secret, encrypted; `signing` is
    how a request must be signed, and `timestamp_header` an option of that.
    """

    id = AutoIncrementField()
    name = TextField(unique=True)
    path = TextField(unique=True)
    responses = TextField()
    restarts = IntegerField(default=0)
    served = BigIntegerField(default=0)
    signing = TextField(default="none")
    timestamp_header = TextField(default="")
    sealed = TextField(default="")
    created_at = BigIntegerField()


class LabRequest(Table):
    """A request that a receiver of the lab got.

    `response` is the name of the response, and `answered` its status; 0 without one. `signature`
    is `right`, `wrong`, or empty if it was not checked; `finding` says why.
    """

    id = AutoIncrementField()
    at = BigIntegerField()
    method = TextField()
    headers = TextField()
    body = TextField()
    answered = IntegerField()
    receiver = ForeignKeyField(LabReceiver, null=True, on_delete="CASCADE")
    response = TextField(default="")
    signature = TextField(default="")
    finding = TextField(default="")
