"""Alerts, deliveries, attempts, and what belongs to them."""

from peewee import (
    BigIntegerField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    ModelSelect,
    TextField,
)
from playhouse.sqlite_ext import AutoIncrementField

from models.channels import Channel
from models.table import Table, add_partial_index

ID_PER_MS = 1_000_000  # the id of a delivery begins with its time


class Alert(Table):
    """A monitored condition in its current state.

    `key` is a hash of its identity, `body` its JSON as in `POST /api/v1/alerts`. An open alert
    with a `closes_at` closes at that time unless its source sends it again. `resolved_start` is the
    start of the latest alert of this identity that its source resolved. `urgency` is the rank of
    its severity, 0 for the most severe.
    """

    id = AutoIncrementField()
    key = TextField(unique=True)
    name = TextField()
    status = TextField()
    body = TextField()
    closes_at = BigIntegerField(null=True, index=True)
    changed_at = BigIntegerField()
    seen_at = BigIntegerField()
    resolved_start = BigIntegerField(null=True)
    urgency = IntegerField(default=0)

    class Meta:
        indexes = ((("status", "changed_at"), False),)

    @classmethod
    def latest(cls, limit: int) -> "ModelSelect[Alert]":
        """Return the newest alerts, newest first."""
        return cls.select().order_by(cls.id.desc()).limit(limit)


add_partial_index("alert_open", Alert, ("urgency", "changed_at"), "status = 'open'")


class GroupMessage(Table):
    """A message about several alerts, each of which has its own delivery.

    `content` is a hash of the deliveries and alerts in it: a message with another content has
    another id. `body` is as in `Delivery`.
    """

    id = BigIntegerField(primary_key=True)
    channel = ForeignKeyField(Channel, backref="group_messages", on_delete="CASCADE")
    content = TextField()
    attempts = IntegerField(default=0)
    body = TextField(null=True)
    config_hash = TextField(default="")
    created_at = BigIntegerField()

    @property
    def webhook_id(self) -> str:
        """The id that receivers see."""
        return f"msg_{self.id}"


add_partial_index("group_message_body", GroupMessage, ("created_at",), "body IS NOT NULL")


class Delivery(Table):
    """One notification of an alert for one channel.

    `event` is `open` or `closed`. `body` is that of the first attempt that failed under the
    configuration in `config_hash`, and encrypted if it holds a secret: it is sent again unchanged.
    `snapshot` is the JSON of the name and the labels that the message states, and `opening` is the
    opening of the alert in the key that vendors know it
    by (NULL: the key of an earlier version). `attempts` counts all attempts, `claims` those during
    which the worker crashed, `retries` the steps of the schedule that were taken, `not_found` the
    retries after 404. `cause` is a sentence that explains the state.

    Due deliveries of a channel are sent by `urgency`, the lowest first. Those with the same
    `group_key` are sent together (empty: alone); `message` is the last one that it was sent in.
    A delivery of a `flapping` alert reports that, and not its event. `sender` is the number of the
    worker that sends it, or sent it last.
    """

    id = BigIntegerField(primary_key=True)
    channel = ForeignKeyField(Channel, backref="deliveries", on_delete="CASCADE", index=False)
    alert = ForeignKeyField(Alert, backref="deliveries", on_delete="CASCADE", index=False)
    event = TextField()
    repeated = IntegerField(default=0)
    state = TextField()
    due_at = BigIntegerField()
    expires_at = BigIntegerField()
    attempts = IntegerField(default=0)
    claims = IntegerField(default=0)
    body = TextField(null=True)
    cause = TextField(default="")
    created_at = BigIntegerField()
    settled_at = BigIntegerField(null=True)
    config_hash = TextField(default="")
    snapshot = TextField(null=True)
    retries = IntegerField(default=0)
    not_found = IntegerField(default=0)
    opening = BigIntegerField(null=True)
    urgency = IntegerField(default=0)
    group_key = TextField(default="")
    message = ForeignKeyField(
        GroupMessage, backref="deliveries", null=True, on_delete="SET NULL", index=False
    )
    flapping = IntegerField(default=0)
    sender = IntegerField(default=0)

    class Meta:
        indexes = (
            (("state",), False),
            (("channel", "state"), False),
            (("alert", "channel", "state"), False),
        )

    @property
    def webhook_id(self) -> str:
        """The id of the delivery, which receivers see unless it is sent in a group message."""
        return f"msg_{self.id}"


add_partial_index("delivery_pending", Delivery, ("channel", "due_at"), "state = 'pending'")
add_partial_index(
    "delivery_urgent", Delivery, ("channel", "urgency", "due_at"), "state = 'pending'"
)
add_partial_index(
    "delivery_group",
    Delivery,
    ("channel", "group_key", "state"),
    "group_key <> '' AND state IN ('pending', 'sending')",
)
add_partial_index("delivery_message", Delivery, ("message",), "message_id IS NOT NULL")
add_partial_index(
    "delivery_final_body",
    Delivery,
    ("settled_at",),
    "body IS NOT NULL AND state IN ('delivered', 'accepted', 'superseded', 'dropped')",
)


class SettledCount(Table):
    """The number of stored deliveries in a state that is final.

    Triggers of the database keep it (migration 0005): counting the rows takes too long.
    """

    state = TextField(primary_key=True)
    number = IntegerField()


class Notification(Table):
    """Whether a channel was notified of an alert; one row for each pair that has a delivery.

    `delivery_id` is the latest delivery that no silence dropped, or else the latest one.
    `notified_id` is the delivery of an opening that arrived, or may have; it is NULL when the
    channel does not believe the alert open. `failures` counts the openings in a row before
    `delivery_id` that did not arrive. At `review_at`, the worker plans the deliveries of the alert
    again; `silence_id` is the silence that it waits for.

    `group_key` is the group of the alert, empty without one. `changes` is a JSON list of the times
    of its last changes, and `flapping` says that there were so many that it is not sent now.
    """

    alert = ForeignKeyField(Alert, backref="notifications", on_delete="CASCADE", index=False)
    channel = ForeignKeyField(Channel, backref="notifications", on_delete="CASCADE", index=False)
    delivery_id = BigIntegerField()
    notified_id = BigIntegerField(null=True)
    failures = IntegerField(default=0)
    review_at = BigIntegerField(null=True)
    silence_id = IntegerField(null=True)
    group_key = TextField(default="")
    changes = TextField(default="")
    flapping = IntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("alert", "channel")
        without_rowid = True


Notification.add_index(Notification.review_at, where=Notification.review_at.is_null(False))
add_partial_index(
    "notification_silence_id", Notification, ("silence_id",), "silence_id IS NOT NULL"
)
add_partial_index(
    "notification_group",
    Notification,
    ("channel", "group_key"),
    "group_key <> '' AND notified_id IS NOT NULL",
)


class Silence(Table):
    """A period during which matching open alerts are not sent."""

    id = AutoIncrementField()
    matchers = TextField()
    reason = TextField()
    made_by = TextField()
    created_at = BigIntegerField()
    until = BigIntegerField()
