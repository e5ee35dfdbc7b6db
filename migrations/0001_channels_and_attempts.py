"""Create channels and attempts, in SQL that is independent of models."""

_STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS "channel" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL,
        "kind" TEXT NOT NULL, "state" TEXT NOT NULL, "version" INTEGER NOT NULL, "origin" TEXT NOT NULL,
        "settings" TEXT NOT NULL, "sealed" TEXT NOT NULL, "config_hash" TEXT NOT NULL, "proof" TEXT NOT NULL,
        "proof_hash" TEXT NOT NULL, "proven_at" INTEGER, "created_at" INTEGER NOT NULL,
        "updated_at" INTEGER NOT NULL) STRICT""",
    """CREATE UNIQUE INDEX IF NOT EXISTS "channel_name" ON "channel" ("name")""",
    """CREATE TABLE IF NOT EXISTS "attempt" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "channel_id" INTEGER,
        "purpose" TEXT NOT NULL, "at" INTEGER NOT NULL, "config_hash" TEXT NOT NULL, "verdict" TEXT NOT NULL,
        "reason" TEXT NOT NULL, "actor" TEXT NOT NULL, "status" INTEGER, "milliseconds" INTEGER NOT NULL,
        "receiver" TEXT NOT NULL, "stages" TEXT NOT NULL, "excerpt" TEXT NOT NULL,
        FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE) STRICT""",
    """CREATE INDEX IF NOT EXISTS "attempt_channel_id" ON "attempt" ("channel_id")""",
    """CREATE INDEX IF NOT EXISTS "attempt_config_hash_verdict" ON "attempt" ("config_hash", "verdict")""",
)


def up(migrator, db):
    for statement in _STATEMENTS:
        # SQLite keeps the text: with single blanks it is what peewee writes, and a test can compare the two.
        db.execute_sql(" ".join(statement.split()))
