"""The tables and their named queries. Times are whole milliseconds since the epoch (UTC).

A channel's parameters stand in two columns: `settings` (JSON that anyone may read) and `sealed` (one Fernet token with the
URL and every secret). `delivery.settings` reads and writes them; nothing here opens a secret.
"""

from enum import StrEnum
from typing import Any

from peewee import (
    SQL,
    BigIntegerField,
    DatabaseProxy,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from playhouse.sqlite_ext import AutoIncrementField

db = DatabaseProxy()

LARGEST_ID = 2**63 - 1
TESTS_KEPT = 50


class ChannelState(StrEnum):
    """State of a channel; `failing` is set by Tocsin, `paused` by a person."""

    DELIVERING = "delivering"
    PAUSED = "paused"
    FAILING = "failing"


class Proof(StrEnum):
    """Evidence that a channel's current configuration works."""

    UNPROVEN = "unproven"
    BY_TEST = "proven by test"
    BY_DELIVERY = "proven by delivery"


class DeliveryState(StrEnum):
    """State of a delivery. Only `delivery.outbox` writes it."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    FAILED = "failed"
    HELD = "held"
    SUPERSEDED = "superseded"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"
    PARKED = "parked"


class Role(StrEnum):
    """Role of a user: a viewer changes nothing and sees no secret."""

    EDITOR = "editor"
    VIEWER = "viewer"


class Table(Model):
    """What all tables share: the database, and columns that refuse a value of another type."""

    class Meta:
        database = db
        legacy_table_names = False
        strict_tables = True


class Channel(Table):
    """One configured destination. `version` counts its saves; `config_hash` names what would change the exchange.

    What does not change it stands in columns of its own: `matchers` (delivery.matchers; empty: every alert), `retries`
    (delivery.retry; empty: the usual steps), `repeat_minutes` (0: a firing alert is told once).
    """

    id: Any = AutoIncrementField()
    name: Any = TextField(unique=True)
    kind: Any = TextField()
    state: Any = TextField(default=ChannelState.DELIVERING)
    version: Any = IntegerField(default=1)
    origin: Any = TextField(default="")
    settings: Any = TextField(default="{}")
    sealed: Any = TextField(default="")
    config_hash: Any = TextField(default="")
    proof: Any = TextField(default=Proof.UNPROVEN)
    proof_hash: Any = TextField(default="")
    proven_at: Any = BigIntegerField(null=True)
    created_at: Any = BigIntegerField()
    updated_at: Any = BigIntegerField()
    matchers: Any = TextField(default="")
    retries: Any = TextField(default="")
    repeat_minutes: Any = IntegerField(default=0)

    @classmethod
    def listed(cls) -> Any:
        """All channels in the order of their names."""
        return cls.select().order_by(SQL("name COLLATE NOCASE"), cls.id)

    @classmethod
    def find(cls, channel_id: int) -> "Channel | None":
        """The channel of this id, or None; an id that no row can have is None too."""
        if not 0 < channel_id <= LARGEST_ID:
            return None
        return next(iter(cls.raw("SELECT * FROM channel WHERE id = ?", channel_id)), None)

    @classmethod
    def name_taken(cls, name: str, except_id: int | None) -> bool:
        """Whether another channel than `except_id` bears this name."""
        same = "SELECT 1 FROM channel WHERE name = ? AND id <> ?"
        return db.execute_sql(same, (name, except_id or 0)).fetchone() is not None

    @property
    def proven(self) -> str:
        """`unproven`, `proven by test` or `proven by delivery`; a proof of another configuration counts for nothing."""
        known = self.proof in (Proof.BY_TEST, Proof.BY_DELIVERY) and self.proven_at is not None
        return (
            self.proof
            if known and self.config_hash and self.proof_hash == self.config_hash
            else Proof.UNPROVEN
        )


class Alert(Table):
    """One monitored thing and how it is now. `key` names it (a hash); `body` is its JSON in the shape of `POST /api/v1/alerts`.

    `closes_at` is when an open one closes by itself.
    """

    id: Any = AutoIncrementField()
    key: Any = TextField(unique=True)
    name: Any = TextField()
    status: Any = TextField()
    body: Any = TextField()
    closes_at: Any = BigIntegerField(null=True, index=True)
    changed_at: Any = BigIntegerField()
    seen_at: Any = BigIntegerField()

    @classmethod
    def latest(cls, limit: int) -> Any:
        """The alerts that came last for the first time, newest first."""
        return cls.select().order_by(cls.id.desc()).limit(limit)


class Delivery(Table):
    """One alert owed to one channel; `webhook_id` names it outside. Only `delivery.outbox` writes its `state`.

    `event` is what it tells (`open` or `closed`), `body` is fixed at the first attempt (sealed where it holds a secret),
    `attempts` counts all, `claims` those that ended with the worker. `cause` says in words why it is where it is.
    """

    id: Any = BigIntegerField(primary_key=True)
    channel: Any = ForeignKeyField(Channel, backref="deliveries", on_delete="CASCADE", index=False)
    alert: Any = ForeignKeyField(Alert, backref="deliveries", on_delete="CASCADE", index=False)
    event: Any = TextField()
    repeated: Any = IntegerField(default=0)
    state: Any = TextField()
    due_at: Any = BigIntegerField()
    expires_at: Any = BigIntegerField()
    attempts: Any = IntegerField(default=0)
    claims: Any = IntegerField(default=0)
    body: Any = TextField(null=True)
    cause: Any = TextField(default="")
    created_at: Any = BigIntegerField()
    settled_at: Any = BigIntegerField(null=True)

    class Meta:
        indexes = (
            (("state", "due_at"), False),
            (("channel", "state", "due_at"), False),
            (("channel", "id"), False),
            (("alert", "channel"), False),
        )

    @property
    def webhook_id(self) -> str:
        """What receivers know it by."""
        return f"msg_{self.id}"


class Silence(Table):
    """Holds back alerts that its matchers match, until a time; by whom and why."""

    id: Any = AutoIncrementField()
    matchers: Any = TextField()
    reason: Any = TextField()
    made_by: Any = TextField()
    created_at: Any = BigIntegerField()
    until: Any = BigIntegerField()


class Receipt(Table):
    """What was answered to a post of alerts with an `Idempotency-Key` (kept as a hash): the same again gets the same answer."""

    key: Any = TextField(primary_key=True)
    answer: Any = TextField()
    at: Any = BigIntegerField(index=True)


class LabRequest(Table):
    """A request that came to the lab's receiving address."""

    id: Any = AutoIncrementField()
    at: Any = BigIntegerField()
    method: Any = TextField()
    headers: Any = TextField()
    body: Any = TextField()
    answered: Any = IntegerField()


class Attempt(Table):
    """One HTTP exchange and how it ended; of a channel that is not saved yet when `channel` is null. Texts are masked.

    Of a delivery, `delivery` names it and `number` counts its attempts; of a test they are null.
    """

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
    delivery: Any = ForeignKeyField(Delivery, backref="tried", null=True, on_delete="CASCADE")
    number: Any = IntegerField(null=True)
    says: Any = TextField(default="")

    class Meta:
        indexes = ((("config_hash", "verdict"), False),)

    @classmethod
    def tests_of(cls, channel: "Channel", limit: int) -> Any:
        """The channel's latest tests, newest first."""
        return (
            cls.select()
            .where((cls.channel == channel) & (cls.purpose == "test"))
            .order_by(cls.id.desc())
            .limit(limit)
        )

    @classmethod
    def proof_of(cls, config_hash: str) -> "Attempt | None":
        """The latest test that delivered with exactly this configuration, or None."""
        same = (cls.config_hash == config_hash) & (cls.verdict == "delivered")
        return cls.select().where(same).order_by(cls.id.desc()).first()

    @classmethod
    def store_test(cls, values: dict) -> None:
        """Stores a test's attempt (every column but `id` and `purpose`) and forgets the channel's oldest beyond fifty.

        A good one proves the channel, if the channel is saved with exactly what was tested. Tests of channels that are not
        saved yet count as those of one channel.
        """
        with db.atomic():
            db.execute_sql(_STORE_TEST, values)
            db.execute_sql(_FORGET_OLD_TESTS, (values["channel_id"], TESTS_KEPT))
            if values["verdict"] == "delivered":
                proof = (
                    Proof.BY_TEST,
                    values["config_hash"],
                    values["at"],
                    values["channel_id"],
                    values["config_hash"],
                )
                db.execute_sql(_PROVE, proof)


# Written out, because peewee takes longer to put such statements together than SQLite to run them.
_STORE_TEST = """
    INSERT INTO attempt
        (channel_id, purpose, at, config_hash, verdict, reason, actor, status, milliseconds, receiver, stages, excerpt, says)
    VALUES
        (:channel_id, 'test', :at, :config_hash, :verdict, :reason, :actor, :status, :milliseconds, :receiver,
         :stages, :excerpt, :says)"""
_FORGET_OLD_TESTS = """
    DELETE FROM attempt WHERE id IN (
        SELECT id FROM attempt WHERE channel_id IS ? AND purpose = 'test' ORDER BY id DESC LIMIT -1 OFFSET ?)"""
_PROVE = (
    "UPDATE channel SET proof = ?, proof_hash = ?, proven_at = ? WHERE id = ? AND config_hash = ?"
)


class User(Table):
    """A person who may sign in. An editor may do everything; a viewer sees all but secrets and changes nothing.

    `name` is unique whatever its letters' case. `password` is an argon2id hash, empty until one is chosen.
    """

    id: Any = AutoIncrementField()
    name: Any = TextField(unique=True, collation="NOCASE")
    role: Any = TextField(default=Role.VIEWER)
    password: Any = TextField(default="")
    created_at: Any = BigIntegerField()
    seen_at: Any = BigIntegerField(null=True)

    @classmethod
    def listed(cls) -> Any:
        """Everybody, in the order of their names."""
        return cls.select().order_by(cls.name)

    @classmethod
    def named(cls, name: str) -> "User | None":
        """The person of this name, or None."""
        return cls.get_or_none(cls.name == name)

    @classmethod
    def editors(cls) -> Any:
        """Those who may change things, and have a way in: a password, or a proxy that brought them here before."""
        return cls.select().where(
            (cls.role == Role.EDITOR) & ((cls.password != "") | cls.seen_at.is_null(False))
        )


class Login(Table):
    """One browser that is signed in: the hash of what its cookie holds, and until when that counts. Deleted is signed out."""

    digest: Any = TextField(primary_key=True)
    user: Any = ForeignKeyField(User, backref="logins", on_delete="CASCADE")
    created_at: Any = BigIntegerField()
    seen_at: Any = BigIntegerField()

    @classmethod
    def person(cls, digest: str, started_after: int, seen_after: int) -> "User | None":
        """Who is signed in with this, if it began and was last used after these times; `seen_at` is when that was."""
        rows = User.raw(_SIGNED_IN, digest, started_after, seen_after)
        return next(iter(rows), None)


class Invitation(Table):
    """A link that is good once, known by its hash: to choose a password for `user`; for nobody, to make the first editor."""

    digest: Any = TextField(primary_key=True)
    user: Any = ForeignKeyField(
        User, backref="invitations", null=True, unique=True, on_delete="CASCADE"
    )
    expires_at: Any = BigIntegerField(null=True)


class Guess(Table):
    """A password that was tried and was not right: for which account, from where. Forgotten after a quarter of an hour."""

    id: Any = AutoIncrementField()
    account: Any = TextField(index=True)
    address: Any = TextField(index=True)
    at: Any = BigIntegerField()


class Token(Table):
    """What a machine shows instead of signing in: known by its hash, good for the scopes it names (blanks between them)."""

    id: Any = AutoIncrementField()
    name: Any = TextField(unique=True)
    digest: Any = TextField(unique=True)
    scopes: Any = TextField()
    made_by: Any = TextField(default="")
    created_at: Any = BigIntegerField()
    expires_at: Any = BigIntegerField(null=True)
    used_at: Any = BigIntegerField(null=True)

    @classmethod
    def listed(cls) -> Any:
        """All tokens in the order of their names."""
        return cls.select().order_by(SQL("name COLLATE NOCASE"))


class Fact(Table):
    """Something that the installation knows of itself, by name."""

    name: Any = TextField(primary_key=True)
    value: Any = TextField()


_SIGNED_IN = """
    SELECT "user".id, name, role, password, login.seen_at FROM login JOIN "user" ON "user".id = login.user_id
    WHERE login.digest = ? AND login.created_at > ? AND login.seen_at > ?"""

TABLES = (
    Channel,
    Alert,
    Delivery,
    Silence,
    Receipt,
    LabRequest,
    Attempt,
    User,
    Login,
    Invitation,
    Guess,
    Token,
    Fact,
)
