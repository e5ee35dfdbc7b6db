"""Counts of the last hours, which the dashboard shows."""

from peewee import BigIntegerField, CompositeKey, IntegerField

from models.table import Table


class Activity(Table):
    """What became of the deliveries of a channel in an hour, which begins at `hour`.

    `delivered` and `failed` have ended, `retried` counts the attempts that failed before another
    one.
    """

    hour = BigIntegerField()
    channel_id = BigIntegerField()
    delivered = IntegerField()
    retried = IntegerField()
    failed = IntegerField()

    class Meta:
        primary_key = CompositeKey("hour", "channel_id")
        without_rowid = True


class DelayCount(Table):
    """How many deliveries arrived in an hour after a delay (`delivery.outbox.activity`)."""

    hour = BigIntegerField()
    bucket = IntegerField()
    number = IntegerField()

    class Meta:
        primary_key = CompositeKey("hour", "bucket")
        without_rowid = True
