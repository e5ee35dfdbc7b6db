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
EDITOR, VIEWER = "editor", "viewer"
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
    def store_test(cls, values: dict) -> None:
        """Stores a test's attempt (every column but `id` and `purpose`) and forgets the channel's oldest beyond fifty.

        A good one proves the channel, if the channel is saved with exactly what was tested. Tests of channels that are not
        saved yet count as those of one channel.
        """
        with db.atomic():
            db.execute_sql(_STORE_TEST, values)
            db.execute_sql(_FORGET_OLD_TESTS, (values["channel_id"], TESTS_KEPT))
            if values["verdict"] == "delivered":
                proof = (PROVEN_BY_TEST, values["config_hash"], values["at"], values["channel_id"], values["config_hash"])
                db.execute_sql(_PROVE, proof)


# Written out, because peewee takes longer to put such statements together than SQLite to run them.
_STORE_TEST = """
    INSERT INTO attempt
        (channel_id, purpose, at, config_hash, verdict, reason, actor, status, milliseconds, receiver, stages, excerpt)
    VALUES
        (:channel_id, 'test', :at, :config_hash, :verdict, :reason, :actor, :status, :milliseconds, :receiver,
         :stages, :excerpt)"""
_FORGET_OLD_TESTS = """
    DELETE FROM attempt WHERE id IN (
        SELECT id FROM attempt WHERE channel_id IS ? AND purpose = 'test' ORDER BY id DESC LIMIT -1 OFFSET ?)"""
_PROVE = "UPDATE channel SET proof = ?, proof_hash = ?, proven_at = ? WHERE id = ? AND config_hash = ?"


class User(Table):
    """A person who may sign in. An editor may do everything; a viewer sees all but secrets and changes nothing.

    `name` is unique whatever its letters' case. `password` is an argon2id hash, empty until one is chosen.
    """

    id: Any = AutoIncrementField()
    name: Any = TextField(unique=True, collation="NOCASE")
    role: Any = TextField(default=VIEWER)
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
        return cls.select().where((cls.role == EDITOR) & ((cls.password != "") | cls.seen_at.is_null(False)))


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
    user: Any = ForeignKeyField(User, backref="invitations", null=True, unique=True, on_delete="CASCADE")
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

TABLES = (Channel, Attempt, User, Login, Invitation, Guess, Token, Fact)
