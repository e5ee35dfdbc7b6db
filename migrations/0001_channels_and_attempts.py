"""The first tables. A frozen copy of the models, independent of what they become."""

from peewee import BigIntegerField, ForeignKeyField, IntegerField, Model, TextField
from playhouse.sqlite_ext import AutoIncrementField


def up(migrator, db):
    class Channel(Model):
        id = AutoIncrementField()
        name = TextField(unique=True)
        kind = TextField()
        state = TextField()
        version = IntegerField()
        origin = TextField()
        settings = TextField()
        sealed = TextField()
        config_hash = TextField()
        proof = TextField()
        proof_hash = TextField()
        proven_at = BigIntegerField(null=True)
        created_at = BigIntegerField()
        updated_at = BigIntegerField()

        class Meta:
            database = db
            legacy_table_names = False
            strict_tables = True

    class Attempt(Model):
        id = AutoIncrementField()
        channel = ForeignKeyField(Channel, null=True, on_delete="CASCADE")
        purpose = TextField()
        at = BigIntegerField()
        config_hash = TextField()
        verdict = TextField()
        reason = TextField()
        actor = TextField()
        status = IntegerField(null=True)
        milliseconds = IntegerField()
        receiver = TextField()
        stages = TextField()
        excerpt = TextField()

        class Meta:
            database = db
            legacy_table_names = False
            strict_tables = True
            indexes = ((("config_hash", "verdict"), False),)

    db.create_tables([Channel, Attempt])
