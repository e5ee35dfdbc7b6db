"""The tables and their named queries. Times are whole milliseconds since the epoch (UTC).

A channel's parameters stand in two columns: `settings` (JSON that anyone may read) and `sealed` (one Fernet token with the
URL and every secret). `delivery.settings` reads and writes them; nothing here opens a secret.
"""

from typing import Any

from peewee import SQL, BigIntegerField, DatabaseProxy, ForeignKeyField, IntegerField, Model, TextField
from playhouse.sqlite_ext import AutoIncrementField

db = DatabaseProxy()

DELIVERING, PAUSED, FAILING = "delivering", "paused", "failing"
UNPROVEN, PROVEN_BY_TEST, PROVEN_BY_DELIVERY = "unproven", "proven by test", "proven by delivery"
LARGEST_ID = 2**63 - 1
TESTS_KEPT = 50


class Table(Model):
    """What all tables share: the database, and columns that refuse a value of another type."""

    class Meta:
        database = db
        legacy_table_names = False
        strict_tables = True


class Channel(Table):
    """One configured destination. `version` counts its saves; `config_hash` names what would change the exchange."""

    id: Any = AutoIncrementField()
    name: Any = TextField(unique=True)
    kind: Any = TextField()
    state: Any = TextField(default=DELIVERING)
    version: Any = IntegerField(default=1)
    origin: Any = TextField(default="")
    settings: Any = TextField(default="{}")
    sealed: Any = TextField(default="")
    config_hash: Any = TextField(default="")
    proof: Any = TextField(default=UNPROVEN)
    proof_hash: Any = TextField(default="")
    proven_at: Any = BigIntegerField(null=True)
    created_at: Any = BigIntegerField()
    updated_at: Any = BigIntegerField()

    @classmethod
    def listed(cls) -> Any:
        """All channels in the order of their names."""
        return cls.select().order_by(SQL("name COLLATE NOCASE"), cls.id)

    @classmethod
    def find(cls, channel_id: int) -> "Channel | None":
        """The channel of this id, or None; an id that no row can have is None too."""
        return cls.get_or_none(cls.id == channel_id) if 0 < channel_id <= LARGEST_ID else None

    @classmethod
    def name_taken(cls, name: str, except_id: int | None) -> bool:
        """Whether another channel than `except_id` bears this name."""
        return cls.select().where((cls.name == name) & (cls.id != (except_id or 0))).exists()

    @property
    def proven(self) -> str:
        """`unproven`, `proven by test` or `proven by delivery`; a proof of another configuration counts for nothing."""
        known = self.proof in (PROVEN_BY_TEST, PROVEN_BY_DELIVERY) and self.proven_at is not None
        return self.proof if known and self.config_hash and self.proof_hash == self.config_hash else UNPROVEN


class Attempt(Table):
    """One HTTP exchange and how it ended; of a channel that is not saved yet when `channel` is null. Texts are masked."""

    id: Any = AutoIncrementField()
    channel: Any = ForeignKeyField(Channel, backref="attempts", null=True, on_delete="CASCADE")
    purpose: Any = TextField()
    at: Any = BigIntegerField()
    config_hash: Any = TextField()
    verdict: Any = TextField()
    reason: Any = TextField()
    actor: Any = TextField()
    status: Any = IntegerField(null=True)
    milliseconds: Any = IntegerField()
    receiver: Any = TextField()
    stages: Any = TextField(default="[]")
    excerpt: Any = TextField(default="")

    class Meta:
        indexes = ((("config_hash", "verdict"), False),)

    @classmethod
    def tests_of(cls, channel: "Channel", limit: int) -> Any:
        """The channel's latest tests, newest first."""
        return cls.select().where((cls.channel == channel) & (cls.purpose == "test")).order_by(cls.id.desc()).limit(limit)

    @classmethod
    def proof_of(cls, config_hash: str) -> "Attempt | None":
        """The latest test that delivered with exactly this configuration, or None."""
        same = (cls.config_hash == config_hash) & (cls.verdict == "delivered")
        return cls.select().where(same).order_by(cls.id.desc()).first()

    @classmethod
    def trim_tests(cls, channel_id: int | None) -> None:
        """Forgets a channel's oldest tests beyond the newest fifty; those of unsaved channels count as one channel."""
        mine = (cls.channel.is_null() if channel_id is None else cls.channel == channel_id) & (cls.purpose == "test")
        oldest_kept = cls.select(cls.id).where(mine).order_by(cls.id.desc()).offset(TESTS_KEPT - 1).limit(1)
        cls.delete().where(mine & (cls.id < oldest_kept)).execute()


TABLES = (Channel, Attempt)
