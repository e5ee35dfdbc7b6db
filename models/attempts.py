"""Attempts: the HTTP exchanges of deliveries, tests and fire drills."""

from peewee import SQL, BigIntegerField, ForeignKeyField, IntegerField, ModelSelect, TextField
from playhouse.sqlite_ext import AutoIncrementField

from models.channels import Channel
from models.deliveries import Delivery, GroupMessage
from models.table import Table, add_partial_index, db

MAX_TESTS_KEPT = 50
# As their indexes have it.
IS_TEST = SQL("(purpose = 'test')")
_IS_DRILL = SQL("(purpose = 'drill')")

_PROOF = """
    SELECT * FROM attempt WHERE config_hash = ? AND verdict = 'delivered'
    ORDER BY id DESC LIMIT 1"""
_STORE = """
    INSERT INTO attempt (channel_id, purpose, at, config_hash, version, verdict, reason, actor,
        status, milliseconds, receiver, stages, excerpt, says)
    VALUES (:channel_id, :purpose, :at, :config_hash, :version, :verdict, :reason, :actor, :status,
        :milliseconds, :receiver, :stages, :excerpt, :says)"""
_DELETE_OLD_TESTS = """
    DELETE FROM attempt WHERE channel_id IS NOT DISTINCT FROM :channel_id AND purpose = 'test'
        AND id <= (
            SELECT id FROM attempt
            WHERE channel_id IS NOT DISTINCT FROM :channel_id AND purpose = 'test'
            ORDER BY id DESC LIMIT 1 OFFSET :max_tests)"""
_PROVE_BY_TEST = """
    UPDATE channel SET proof = 'proven by test', proof_hash = :config_hash, proven_at = :at
    WHERE id = :channel_id AND config_hash = :config_hash AND :verdict = 'delivered'"""
_END_TROUBLE = """
    UPDATE channel SET trouble_since = NULL, trouble = '', failures = 0
    WHERE id = :channel_id AND config_hash = :config_hash AND trouble_since IS NOT NULL
        AND :verdict IN ('delivered', 'accepted')"""


class Attempt(Table):
    """One HTTP exchange and its outcome, with every secret masked.

    A test has neither `delivery` nor `number`, and no `channel` before that is saved. A drill is a
    test that the worker sent. `number`
    counts the attempts of the delivery, or of the group message that was sent instead. `version` is
    that of the channel (NULL: a test of an edit that was not saved, or an earlier Tocsin).
    """

    id = AutoIncrementField()
    channel = ForeignKeyField(Channel, backref="attempts", null=True, on_delete="CASCADE")
    purpose = TextField()
    at = BigIntegerField()
    config_hash = TextField()
    verdict = TextField()
    reason = TextField()
    actor = TextField()
    status = IntegerField(null=True)
    milliseconds = IntegerField()
    receiver = TextField()
    stages = TextField(default="[]")
    excerpt = TextField(default="")
    delivery = ForeignKeyField(Delivery, backref="tried", null=True, on_delete="CASCADE")
    number = IntegerField(null=True)
    says = TextField(default="")
    message = ForeignKeyField(
        GroupMessage, backref="tried", null=True, on_delete="CASCADE", index=False
    )
    version = IntegerField(null=True)

    class Meta:
        indexes = ((("config_hash", "verdict"), False),)

    @classmethod
    def tests_of(cls, channel: Channel, limit: int) -> "ModelSelect[Attempt]":
        """Return the channel's latest tests, newest first."""
        tests = cls.select().where(cls.channel == channel, IS_TEST)
        return tests.order_by(cls.id.desc()).limit(limit)

    @classmethod
    def drills_of(cls, channel: Channel, limit: int) -> "ModelSelect[Attempt]":
        """Return the channel's latest fire drills, newest first."""
        drills = cls.select().where(cls.channel == channel, _IS_DRILL)
        return drills.order_by(cls.id.desc()).limit(limit)

    @classmethod
    def proof_of(cls, config_hash: str) -> "Attempt | None":
        """Return the latest test that delivered with this configuration."""
        return next(iter(cls.raw(_PROOF, config_hash)), None)

    @classmethod
    def store_test(cls, columns: dict) -> None:
        """Store the attempt of a test, and delete the channel's oldest tests.

        A delivered test proves its channel if that is saved with the configuration of the test,
        and one that succeeds ends its trouble.
        The tests of all unsaved channels count as those of one channel.
        """
        parameters = {**columns, "purpose": "test", "max_tests": MAX_TESTS_KEPT}
        with db.atomic():
            for statement in (_STORE, _DELETE_OLD_TESTS, _PROVE_BY_TEST, _END_TROUBLE):
                db.execute_sql(statement, parameters)

    @classmethod
    def store_drill(cls, columns: dict) -> None:
        """Store the attempt of a fire drill, which proves its channel like a test.

        Retention deletes it like the attempts of deliveries.
        """
        with db.atomic():
            for statement in (_STORE, _PROVE_BY_TEST, _END_TROUBLE):
                db.execute_sql(statement, {**columns, "purpose": "drill"})


add_partial_index("attempt_message", Attempt, ("message",), "message_id IS NOT NULL")
add_partial_index("attempt_test", Attempt, ("purpose", "channel"), "purpose = 'test'")
add_partial_index("attempt_drill", Attempt, ("purpose", "channel"), "purpose = 'drill'")
