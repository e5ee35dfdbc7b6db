"""Replays: deliveries that a user has had sent again, many at once."""

from peewee import BigIntegerField, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.states import ReplayState
from models.table import Table


class Replay(Table):
    """A replay of the deliveries that a filter accepts; the worker carries it out in slices.

    `log_filter` is the JSON of the filter, and `query` the same as in the address of a page.
    It goes on with the deliveries before the id `before`. `counts` is a JSON object: how many
    deliveries had which result.
    """

    id = AutoIncrementField()
    made_by = TextField()
    created_at = BigIntegerField()
    choice = TextField()
    log_filter = TextField()
    query = TextField()
    before = BigIntegerField()
    state = TextField(default=ReplayState.RUNNING)
    counts = TextField(default="{}")
