"""Channels.

The parameters of a channel stand in two columns: `settings`, JSON without secrets, and `sealed`,
one Fernet token with the URL and every secret. `delivery.settings` reads and writes both.
"""

from typing import Self

from peewee import BigIntegerField, IntegerField, ModelSelect, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.states import ChannelState, Proof
from models.table import Table, db

_PROOFS = {proof.value: proof for proof in Proof}


class Channel(Table):
    """A configured destination.

    `version` counts the saves. `config_hash` covers everything that affects the exchange. The
    other settings have columns of their own: `matchers` (empty: every alert), `retries` (empty:
    the default schedule) and `repeat_minutes` (0: an open alert is sent once). A failing channel
    is probed at `probe_at`. One with `deleted_at` counts as deleted: its rows are being deleted.

    Alerts with the same values of the labels `group_by` (separated by commas; empty: none) wait up
    to `group_wait` seconds for each other. `separate` keeps a backlog in messages of their own.
    While it is paused, one that `drops` holds no openings for later.

    `provisioned` names the file that alone changes the channel; empty: people do.

    `trouble_since` is the first of the attempts that failed since the last one that succeeded, and
    `trouble` the sentence of the last one; `failures` counts the deliveries that failed for good
    since. `trouble_version` is the version that made the first of these attempts. `attempted_at` is
    an attempt of the last minutes. After ten minutes of trouble, the channel `fallback_id` is
    notified.

    A channel with `drill_days` has a fire drill at `drill_at` (NULL: not planned yet);
    `drill_failures` counts those that failed in a row.
    """

    id = AutoIncrementField()
    name = TextField(unique=True)
    kind = TextField()
    state = TextField(default=ChannelState.DELIVERING)
    version = IntegerField(default=1)
    origin = TextField(default="")
    settings = TextField(default="{}")
    sealed = TextField(default="")
    config_hash = TextField(default="")
    proof = TextField(default=Proof.UNPROVEN)
    proof_hash = TextField(default="")
    proven_at = BigIntegerField(null=True)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    matchers = TextField(default="")
    retries = TextField(default="")
    repeat_minutes = IntegerField(default=0)
    probe_at = BigIntegerField(null=True)
    deleted_at = BigIntegerField(null=True)
    group_by = TextField(default="")
    group_wait = IntegerField(default=0)
    separate = IntegerField(default=0)
    fallback_id = IntegerField(null=True)
    drops = IntegerField(default=0)
    attempted_at = BigIntegerField(null=True)
    trouble_since = BigIntegerField(null=True)
    trouble = TextField(default="")
    failures = IntegerField(default=0)
    trouble_version = IntegerField(null=True)
    provisioned = TextField(default="")
    drill_days = IntegerField(default=0)
    drill_at = BigIntegerField(null=True)
    drill_failures = IntegerField(default=0)

    @classmethod
    def find(cls, channel_id: int) -> "Channel | None":
        """Return the channel with this id, or None."""
        statement = "SELECT * FROM channel WHERE id = ? AND deleted_at IS NULL"
        return next(iter(cls.raw(statement, channel_id)), None)

    @classmethod
    def listed(cls) -> "ModelSelect[Self]":
        """Return all channels, ordered by name."""
        return super().listed().where(cls.deleted_at.is_null())

    @classmethod
    def name_taken(cls, name: str, except_id: int | None) -> bool:
        """Return True if a channel other than `except_id` has this name."""
        statement = "SELECT 1 FROM channel WHERE name = :name AND id <> :except_id"
        parameters = {"name": name, "except_id": except_id or 0}
        return db.execute_sql(statement, parameters).fetchone() is not None

    @property
    def proven(self) -> Proof:
        """The proof of the current configuration."""
        return current_proof(self.proof, self.proof_hash, self.config_hash, self.proven_at)


def current_proof(proof: str, proof_hash: str, config_hash: str, proven_at: int | None) -> Proof:
    """Return the proof of the current configuration by these columns."""
    is_current = config_hash and proof_hash == config_hash
    if is_current and proven_at is not None:
        return _PROOFS.get(proof, Proof.UNPROVEN)
    return Proof.UNPROVEN
