"""What people changed: the versions of channels, and the audit log."""

from enum import StrEnum

from peewee import BigIntegerField, ForeignKeyField, IntegerField, ModelSelect, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.channels import Channel
from models.table import Table, db

MAX_VERSIONS = 100  # of a channel
# The columns of a channel that a save writes, and that a version has too.
CONFIGURATION = (
    "name",
    "kind",
    "origin",
    "settings",
    "sealed",
    "config_hash",
    "matchers",
    "retries",
    "repeat_minutes",
    "group_by",
    "group_wait",
    "separate",
    "fallback_id",
    "drill_days",
)

_STORE_VERSION = """
    INSERT INTO channel_version (channel_id, version, at, made_by, event, name, kind, origin,
        settings, sealed, config_hash, matchers, retries, repeat_minutes, group_by, group_wait,
        separate, fallback_id, drill_days)
    SELECT id, version, :at, :made_by, :event, name, kind, origin, settings, sealed, config_hash,
        matchers, retries, repeat_minutes, group_by, group_wait, separate, fallback_id,
        drill_days
    FROM channel WHERE id = :channel_id"""
_DELETE_OLD_VERSIONS = """
    DELETE FROM channel_version WHERE channel_id = :channel_id AND version <= (
        SELECT version FROM channel_version WHERE channel_id = :channel_id
        ORDER BY version DESC LIMIT 1 OFFSET :max_versions)"""


class ChannelVersion(Table):
    """The configuration of a channel as a save stored it, encrypted as in the channel.

    `event` says what happened, such as `saved` or `restored from version 3`. `made_by` is empty
    for the version that a channel had before there was a history.
    """

    id = AutoIncrementField()
    channel = ForeignKeyField(Channel, backref="versions", on_delete="CASCADE", index=False)
    version = IntegerField()
    at = BigIntegerField(index=True)
    made_by = TextField()
    event = TextField()
    name = TextField()
    kind = TextField()
    origin = TextField()
    settings = TextField()
    sealed = TextField()
    config_hash = TextField()
    matchers = TextField()
    retries = TextField()
    repeat_minutes = IntegerField()
    group_by = TextField()
    group_wait = IntegerField()
    separate = IntegerField()
    fallback_id = IntegerField(null=True)
    drill_days = IntegerField(default=0)

    class Meta:
        indexes = ((("channel", "version"), True),)

    @classmethod
    def store(cls, channel_id: int, event: str, made_by: str, now: int) -> None:
        """Store a channel's row as its newest version, and delete the oldest beyond the limit.

        Call this in the transaction that saves the channel.
        """
        parameters = {"channel_id": channel_id, "event": event, "made_by": made_by, "at": now}
        db.execute_sql(_STORE_VERSION, parameters)
        limit = {"channel_id": channel_id, "max_versions": MAX_VERSIONS}
        db.execute_sql(_DELETE_OLD_VERSIONS, limit)

    @classmethod
    def of(cls, channel: Channel) -> "ModelSelect[ChannelVersion]":
        """Return the versions of a channel, newest first."""
        return cls.select().where(cls.channel == channel).order_by(cls.version.desc())

    @classmethod
    def find(cls, channel: Channel, version: int) -> "ChannelVersion | None":
        """Return a version of a channel by its number, or None."""
        return cls.get_or_none(cls.channel == channel, cls.version == version)

    def as_channel(self) -> Channel:
        """Return the channel as it was at this version; it is not to be saved."""
        configuration = {name: getattr(self, name) for name in CONFIGURATION}
        return Channel(id=self.__data__["channel"], version=self.version, **configuration)


class AuditAction(StrEnum):
    """What the audit log names."""

    SIGNED_IN = "signed in"
    SIGN_IN_REFUSED = "sign-in refused"
    SIGNED_OUT = "signed out"
    PASSWORD_CHANGED = "password changed"
    USER_ADDED = "user added"
    USER_INVITED = "password link created"
    ROLE_CHANGED = "role changed"
    USER_REMOVED = "user removed"
    TOKEN_CREATED = "token created"
    TOKEN_REVOKED = "token revoked"
    KEYS_CREATED = "keys created"
    KEYS_ROTATED = "keys rotated"
    CHANNEL_CREATED = "channel created"
    CHANNEL_SAVED = "channel saved"
    CHANNEL_RESTORED = "channel restored"
    CHANNEL_DUPLICATED = "channel duplicated"
    CHANNEL_PAUSED = "channel paused"
    CHANNEL_RESUMED = "channel resumed"
    CHANNEL_DELETED = "channel deleted"
    VERSIONS_DELETED = "versions deleted"
    TEST_SENT = "test sent"
    DELIVERY_RETRIED = "delivery retried"
    DELIVERY_SNOOZED = "delivery snoozed"
    DELIVERY_CANCELED = "delivery canceled"
    DELIVERY_REPLAYED = "delivery replayed"
    ALERT_CLOSED = "alert closed"
    SILENCE_CREATED = "silence created"
    SILENCE_CHANGED = "silence changed"
    SILENCE_ENDED = "silence ended"
    EXPORTED = "exported"
    CHANNELS_EXPORTED = "channels exported"
    CHANNELS_IMPORTED = "channels imported"
    LAB_CHANGED = "lab changed"
    BACKUP_WRITTEN = "backup written"


class AuditEntry(Table):
    """An entry of the audit log. No page changes or deletes one; `outbox.prune` deletes old ones.

    `made_by` is the name of a user, `token “…”`, or `the command`. `detail` says what the action
    was done to, without secrets. `address` is that of the browser or client, empty for a command.
    """

    id = AutoIncrementField()
    at = BigIntegerField()
    made_by = TextField()
    action = TextField()
    detail = TextField()
    address = TextField()

    class Meta:
        indexes = ((("action", "at"), False),)

    @classmethod
    def record(
        cls, action: AuditAction, made_by: str, detail: str, now: int, address: str = ""
    ) -> None:
        """Add an entry to the audit log.

        In a view, call `web.audit.record(action, detail)`: it knows the user and the address. The
        command line passes `users.THE_COMMAND` as `made_by`. An action on many rows is one entry,
        whose detail has their number. Never put a secret, a URL or a message into it.
        """
        cls.create(action=action, made_by=made_by, detail=detail, at=now, address=address)
